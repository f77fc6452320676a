"""What is free on each agent, as the read models show it."""

from typing import Final, NamedTuple

import msgspec

from services.gateway.projections.occupancy import SESSIONS
from services.gateway.reads.models import ReadModels
from shared.kernel.slots import Slots, slots_of, subtract
from shared.projections.transactions import snapshot

_CAPACITY: Final = (
    "select id, resource_group, status, schedulable, doc::json->>'available_slots'"
    " from agents where status <> 'TERMINATED' order by id"
)
_HELD: Final = (
    f"select id, slot, held from occupancy where scope = 'agent' and slot <> '{SESSIONS}'"  # noqa: S608  # a constant
)
_decode = msgspec.json.Decoder(dict[str, str]).decode


class AgentRoom(NamedTuple):
    """What one agent has in all, and what of it nobody holds. Amounts as in `Slots`."""

    id: str
    resource_group: str
    status: str
    schedulable: bool
    capacity: Slots
    free: Slots


async def agent_rooms(reads: ReadModels) -> tuple[AgentRoom, ...]:
    """Return every agent that has not left for good; read again only when something moves."""

    async def load() -> tuple[AgentRoom, ...]:
        async with snapshot(reads.pool) as connection:
            rows = await connection.fetch(_CAPACITY)
            held: dict[str, Slots] = {}
            for agent_id, slot, amount in await connection.fetch(_HELD):
                held.setdefault(agent_id, {})[slot] = int(amount)
        rooms = []
        for agent_id, group, status, schedulable, capacity in rows:
            has = slots_of(_decode(capacity))
            free = subtract(has, held.get(agent_id, {}))
            rooms.append(AgentRoom(agent_id, group, status, schedulable, has, free))
        return tuple(rooms)

    return await reads.known(("agent rooms",), ("agents", "scheduler"), load)
