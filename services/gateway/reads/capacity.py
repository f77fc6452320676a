"""What the cluster could give at all: the sum over its agents, and the most that one holds."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from services.gateway.reads.models import ReadModels
from shared.kernel.slots import Slots, add, fits, slots_of

_AGENTS: Final = (
    "select doc::json->>'available_slots' from agents where status <> 'TERMINATED' order by id"
)
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Capacity(NamedTuple):
    """What the agents have that have not left for good; also those that are lost now count."""

    agents: tuple[Slots, ...]
    total: Slots
    largest: Slots

    def holds(self, slots: Mapping[str, int]) -> bool:
        """Tell whether one agent alone could hold a request when it is empty."""
        return any(fits(slots, agent) for agent in self.agents)


def capacity_of(agents: tuple[Slots, ...]) -> Capacity:
    """Return the capacity of a cluster of these agents."""
    total: Slots = {}
    largest: Slots = {}
    for agent in agents:
        total = add(total, agent)
        for slot, amount in agent.items():
            largest[slot] = max(largest.get(slot, 0), amount)
    return Capacity(agents, total, largest)


async def capacity(reads: ReadModels) -> Capacity:
    """Return what the cluster has; it is read again only when something happens to an agent."""

    async def load() -> Capacity:
        rows = await reads.pool.fetch(_AGENTS)
        return capacity_of(tuple(slots_of(_decode(row[0])) for row in rows))

    return await reads.known(("capacity",), ("agents",), load)
