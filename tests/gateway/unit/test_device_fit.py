import json

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.reads.agent_room import AgentRoom, DeviceRoom, rooms_of
from services.gateway.reads.device_fit import gives
from services.gateway.reads.preset_fit import Place, no_room
from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import Device

slots = st.sampled_from(("cuda.shares", "cuda.device"))
parts = st.integers(0, 100).map(lambda number: number * 10)


@given(
    slot=slots,
    amount=st.integers(1, 400).map(lambda number: number * 10),
    frees=st.lists(parts, min_size=1, max_size=4),
    fragments=st.booleans(),
)
def test_devices_give_what_the_scheduler_would_hand_out(slot, amount, frees, fragments):
    devices = [Device(device_id=str(at), slot=slot, amount=1000) for at in range(len(frees))]
    used = {str(at): 1000 - free for at, free in enumerate(frees)}
    rooms = [DeviceRoom(slot, 1000, free) for free in frees]
    handed = allocate(slot, amount, devices, used, allows_fragmentation=fragments)
    assert gives({slot: amount}, rooms, fragments=fragments) is (handed is not None)


def test_a_slot_without_devices_is_not_judged_by_them():
    assert gives({"cpu": 4000, "cuda.shares": 500}, [DeviceRoom("cuda.shares", 1000, 500)])
    assert gives({"cuda.shares": 500}, [])


def test_enough_in_pieces_is_told_apart_from_not_enough():
    devices = [
        {"id": name, "slot": "cuda.shares", "amount": "1", "model": "", "memory_bytes": 1}
        for name in ("0", "1")
    ]
    held = {"a/0": '{"cuda.shares": 700}', "a/1": '{"cuda.shares": 700}'}
    free = {"cuda.shares": 600}
    agent = AgentRoom(
        id="a",
        status="ALIVE",
        schedulable=True,
        capacity=free,
        free=free,
        listed=json.dumps(devices),
        held=held,
    )
    rooms = rooms_of([agent])
    asked = {"cuda.shares": 500}
    assert no_room(asked, [Place("g", is_active=True, rooms=rooms)]) is None
    whole = Place("g", is_active=True, rooms=rooms, fragments=False)
    assert no_room(asked, [whole]).code == "devices-fragmented"
    assert no_room({"cuda.shares": 700}, [whole]).code == "not-enough-resources"
