"""Whether an agent's devices could give what is asked of them, as the scheduler hands them out."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.gateway.reads.agent_room import DeviceRoom

QUANTUM: Final = 10  # the least part of a device, in thousandths
WHOLE: Final = ".device"


def gives(
    slots: Mapping[str, int], devices: Sequence[DeviceRoom], *, fragments: bool = True
) -> bool:
    """Tell whether the devices can give every slot; a slot of which there are none is not judged.

    Whole devices must be untouched. A share is of one device, or spread over several: as it comes
    where it may be fragmented, else in equal parts and only if no empty device could give it.
    """
    for slot, amount in slots.items():
        mine = sorted((one for one in devices if one.slot == slot), key=lambda one: one.free)
        if mine and not _gives(slot, amount, mine, fragments=fragments):
            return False
    return True


def _gives(slot: str, amount: int, devices: Sequence[DeviceRoom], *, fragments: bool) -> bool:
    if slot.endswith(WHOLE):
        for device in devices:
            if amount > 0 and device.free == device.amount:
                amount -= device.amount
        return amount == 0
    if devices[-1].free >= amount:
        return True
    if fragments:
        return sum(device.free for device in devices if device.free >= QUANTUM) >= amount
    largest = max(device.amount for device in devices)
    if amount <= largest:
        return False
    fewest = -(-amount // largest) if largest > 0 else 2
    return any(
        _gives_equally(amount, count, devices) for count in range(max(fewest, 2), len(devices) + 1)
    )


def _gives_equally(amount: int, count: int, devices: Sequence[DeviceRoom]) -> bool:
    """Tell whether so many devices can give parts that differ by a quantum at most."""
    part = amount // count // QUANTUM * QUANTUM
    larger = -(-(amount - part * count) // QUANTUM)
    enough = sum(device.free >= part for device in devices)
    plenty = sum(device.free >= part + QUANTUM for device in devices)
    return enough >= count and plenty >= larger
