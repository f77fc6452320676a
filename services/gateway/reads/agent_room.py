"""What is free on each agent, as the read models show it."""

from typing import Final, NamedTuple

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
    "select scope, id, slot, held from occupancy"
    " where scope in ('agent', 'device') and slot <> $1 and held > 0"
)
_slots = msgspec.json.Decoder(dict[str, str]).decode
_devices = msgspec.json.Decoder(list[DeviceDocument]).decode


class DeviceRoom(NamedTuple):
    """What one device gives of its slot in all, and what of it nobody holds."""

    slot: str
    amount: int
    free: int


class AgentRoom(NamedTuple):
    """What one agent has in all, and what of it nobody holds. Amounts as in `Slots`."""

    id: str
    resource_group: str
    status: str
    schedulable: bool
    capacity: Slots
    free: Slots
    devices: tuple[DeviceRoom, ...] = ()


async def agent_rooms(reads: ReadModels) -> tuple[AgentRoom, ...]:
    """Return every agent that has not left for good; read again only when something moves."""

    async def load() -> tuple[AgentRoom, ...]:
        async with snapshot(reads.pool) as connection:
            rows = await connection.fetch(_CAPACITY)
            held: dict[tuple[str, str], Slots] = {}
            for scope, key, slot, amount in await connection.fetch(_HELD, SESSIONS):
                held.setdefault((scope, key), {})[slot] = int(amount)
        rooms = []
        for agent_id, group, status, schedulable, capacity, listed in rows:
            has = slots_of(_slots(capacity))
            free = subtract(has, held.get(("agent", agent_id), {}))
            devices = tuple(
                _room(device, held.get(("device", device_key(agent_id, device.id)), {}))
                for device in _devices(listed)
            )
            rooms.append(AgentRoom(agent_id, group, status, schedulable, has, free, devices))
        return tuple(rooms)

    return await reads.known(("agent rooms",), ("agents", "scheduler"), load)


def _room(device: DeviceDocument, held: Slots) -> DeviceRoom:
    amount = amount_of(device.slot, device.amount)
    return DeviceRoom(device.slot, amount, amount - held.get(device.slot, 0))
