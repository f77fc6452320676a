"""Shares of devices against a search through everything that could be given out."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.devices import QUANTUM, allocate
from services.scheduler.placement.model import Device

SLOT = "cuda.shares"
PAIR = (Device("d0", SLOT, 1000), Device("d1", SLOT, 1000))
USED = {"d0": 700, "d1": 400}
REMAINDERS = st.lists(st.integers(0, 100).map(lambda parts: parts * QUANTUM), max_size=5)
AMOUNTS = st.integers(1, 300).map(lambda parts: parts * QUANTUM)


def devices_with(remainders):
    devices = tuple(Device(f"d{number}", SLOT, 1000) for number in range(len(remainders)))
    return devices, {f"d{number}": 1000 - left for number, left in enumerate(remainders)}


def test_a_share_goes_where_the_least_is_left_over():
    assert allocate(SLOT, 500, PAIR, USED) == {"d1": 500}


def test_a_share_that_fits_nowhere_is_spread_only_where_that_is_allowed():
    assert allocate(SLOT, 700, PAIR, USED) == {"d0": 300, "d1": 400}
    assert allocate(SLOT, 700, PAIR, USED, allows_fragmentation=False) is None


def test_what_no_device_could_give_is_cut_into_equal_parts():
    devices = tuple(Device(f"d{number}", SLOT, 1000) for number in range(3))
    parts = allocate(SLOT, 2500, devices, {}, allows_fragmentation=False)
    assert sorted(parts.values()) == [830, 830, 840]
    used = {"d0": 200}
    assert allocate(SLOT, 2500, devices, used, allows_fragmentation=False) is None
    assert sum(allocate(SLOT, 2500, devices, used).values()) == 2500


@settings(max_examples=300, deadline=None)
@given(REMAINDERS, AMOUNTS)
def test_spreading_finds_the_fewest_devices_that_have_it(remainders, amount):
    devices, used = devices_with(remainders)
    chosen = allocate(SLOT, amount, devices, used)
    fewest = next(
        (
            count
            for count in range(1, len(remainders) + 1)
            if any(sum(some) >= amount for some in combinations(remainders, count))
        ),
        None,
    )
    if fewest is None:
        assert chosen is None
        return
    assert len(chosen) <= fewest
    assert sum(chosen.values()) == amount
    assert all(0 < part <= 1000 - used[device_id] for device_id, part in chosen.items())


@settings(max_examples=300, deadline=None)
@given(REMAINDERS, AMOUNTS)
def test_without_fragmentation_parts_are_equal_and_found_when_there_are_any(remainders, amount):
    devices, used = devices_with(remainders)
    chosen = allocate(SLOT, amount, devices, used, allows_fragmentation=False)

    def parts_of(count):
        quanta = amount // QUANTUM
        return [quanta // count * QUANTUM] * (count - quanta % count) + [
            (quanta // count + 1) * QUANTUM
        ] * (quanta % count)

    def has_room(parts):
        largest = sorted(remainders)[-len(parts) :]
        return len(largest) == len(parts) and all(
            part <= left for part, left in zip(sorted(parts), largest, strict=True)
        )

    fewest = -(-amount // 1000)
    counts = [1] if amount <= 1000 else range(fewest, len(remainders) + 1)
    wanted = next((parts for parts in map(parts_of, counts) if has_room(parts)), None)
    if wanted is None:
        assert chosen is None
        return
    assert sorted(chosen.values()) == sorted(wanted)
    assert all(part <= 1000 - used[device_id] for device_id, part in chosen.items())
