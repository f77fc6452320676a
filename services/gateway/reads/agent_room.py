"""What is free on each agent, as the read models show it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg
import msgspec

from services.gateway.documents.agents import DeviceDocument
from services.gateway.projections.occupancy import SESSIONS, device_key
from services.gateway.reads.models import ReadModels
from shared.kernel.slots import Slots, amount_of, slots_of, subtract
from shared.projections.transactions import snapshot

_CAPACITY: Final = (
    "select id, resource_group, status, schedulable, doc::json->>'available_slots',"
    " doc::json->>'devices' from agents where status <> 'TERMINATED' order by id"
)
_HELD: Final = (
    "select id, json_object_agg(slot, held)::text from occupancy"
    " where scope = $1 and slot <> $2 and held > 0 group by id"
)
_slots = msgspec.json.Decoder(dict[str, str]).decode
_held = msgspec.json.Decoder(dict[str, int]).decode
_devices = msgspec.json.Decoder(list[DeviceDocument]).decode


class DeviceRoom(NamedTuple):
    """What one device gives of its slot in all, and what of it nobody holds."""

    slot: str
    amount: int
    free: int


class AgentRoom(NamedTuple):
    """What one agent has in all, and what of it nobody holds. Amounts as in `Slots`.

    `listed` are its devices as the agent's document has them.
    """

    id: str
    status: str
    schedulable: bool
    capacity: Slots
    free: Slots
    listed: str = "[]"
    held: Mapping[str, str] = {}

    def devices(self) -> tuple[DeviceRoom, ...]:
        """Return what its devices have; found out when asked, as most never are."""
        return tuple(self._device(device) for device in _devices(self.listed))

    def _device(self, device: DeviceDocument) -> DeviceRoom:
        held = _held(self.held.get(device_key(self.id, device.id), "{}"))
        amount = amount_of(device.slot, device.amount)
        return DeviceRoom(device.slot, amount, amount - held.get(device.slot, 0))


class Rooms(NamedTuple):
    """The agents of a resource group, and of those that take new sessions now what they have left.

    `offered` are the slots that any of its agents has, `largest` is the most that one has left.
    """

    agents: tuple[AgentRoom, ...] = ()
    open: tuple[AgentRoom, ...] = ()
    offered: frozenset[str] = frozenset()
    used: Slots = {}
    remaining: Slots = {}
    largest: Slots = {}


async def agent_rooms(reads: ReadModels) -> Mapping[str, Rooms]:
    """Return what there is in each resource group; read again only when something moves."""

    async def load() -> Mapping[str, Rooms]:
        async with snapshot(reads.pool) as connection:
            rows = await connection.fetch(_CAPACITY)
            agents = dict(await _pairs(connection, "agent"))
            devices = dict(await _pairs(connection, "device"))
        # of ten thousand agents this takes so long that others would wait for it
        return await asyncio.to_thread(_grouped, rows, agents, devices)

    return await reads.known(("agent rooms",), ("agents", "scheduler"), load)


async def _pairs(connection: asyncpg.Connection, scope: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in await connection.fetch(_HELD, scope, SESSIONS)]


def _grouped(
    rows: Sequence[asyncpg.Record], agents: Mapping[str, str], devices: Mapping[str, str]
) -> Mapping[str, Rooms]:
    groups: dict[str, list[AgentRoom]] = {}
    for agent_id, group, status, schedulable, capacity, listed in rows:
        has = slots_of(_slots(capacity))
        held = agents.get(agent_id)
        free = has if held is None else subtract(has, _held(held))
        room = AgentRoom(agent_id, status, schedulable, has, free, listed, devices)
        groups.setdefault(group, []).append(room)
    return {group: rooms_of(found) for group, found in groups.items()}


def rooms_of(agents: Iterable[AgentRoom]) -> Rooms:
    """Return the agents of a group with what they have left in all, and at most."""
    every = tuple(agents)
    takers = tuple(one for one in every if one.status == "ALIVE" and one.schedulable)
    used: Slots = {}
    remaining: Slots = {}
    largest: Slots = {}
    for agent in takers:
        for slot, free in agent.free.items():
            used[slot] = used.get(slot, 0) + agent.capacity.get(slot, 0) - free
            remaining[slot] = remaining.get(slot, 0) + free
            if free > largest.get(slot, -1):
                largest[slot] = free
    offered = frozenset(slot for agent in every for slot in agent.capacity)
    return Rooms(every, takers, offered, used, remaining, largest)
