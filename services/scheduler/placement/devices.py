"""Handing out whole accelerators and shares of them, in thousandths of a device."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.scheduler.placement.model import Device

QUANTUM: Final = 10


def is_whole(slot: str) -> bool:
    """Tell whether a slot is given in whole devices only, such as `cuda.device`."""
    return slot.endswith(".device")


def allocate(
    slot: str,
    amount: int,
    devices: Sequence[Device],
    used: Mapping[str, int],
    *,
    allows_fragmentation: bool = True,
) -> dict[str, int] | None:
    """Choose devices for `amount` of a slot; None when they can't give it.

    Whole devices must be untouched. A share goes to the device with the least remainder that
    can hold it; one that fits nowhere is spread over the fewest devices, as evenly as they allow.
    Without fragmentation only what no empty device could give is spread, in equal parts.
    """
    rest = sorted(
        (device.amount - used.get(device.device_id, 0), device.device_id, device.amount)
        for device in devices
        if device.slot == slot
    )
    if is_whole(slot):
        return _whole(amount, rest)
    for left, device_id, _ in rest:
        if left >= amount:
            return {device_id: amount}
    if not allows_fragmentation:
        largest = max((full for _, _, full in rest), default=0)
        return _equally(amount, largest, [(left, device_id) for left, device_id, _ in rest])
    return _spread(amount, [(left, device_id) for left, device_id, _ in rest if left >= QUANTUM])


def _whole(amount: int, rest: list[tuple[int, str, int]]) -> dict[str, int] | None:
    chosen: dict[str, int] = {}
    for left, device_id, full in rest:
        if amount <= 0:
            break
        if left == full:
            chosen[device_id] = full
            amount -= full
    return chosen if amount == 0 else None


def _equally(amount: int, largest: int, rest: list[tuple[int, str]]) -> dict[str, int] | None:
    """Cut into parts that differ by a quantum at most, as few as empty devices would do."""
    fewest = -(-amount // largest) if largest > 0 else 2
    for count in range(max(fewest, 2) if amount > largest else len(rest) + 1, len(rest) + 1):
        part = amount // count
        part -= part % QUANTUM
        missing = amount - part * count
        larger = -(-missing // QUANTUM)
        small = [device_id for left, device_id in rest if left >= part][: count - larger]
        large = [
            device_id
            for left, device_id in rest
            if left >= part + QUANTUM and device_id not in small
        ][:larger]
        if len(small) + len(large) == count:
            chosen = dict.fromkeys(small, part)
            for device_id in large:
                chosen[device_id] = part + min(QUANTUM, missing)
                missing -= QUANTUM
            return chosen
    return None


def _spread(amount: int, rest: list[tuple[int, str]]) -> dict[str, int] | None:
    for count in range(2, len(rest) + 1):
        if sum(left for left, _ in rest[-count:]) < amount:
            continue
        # of all runs of neighbours that suffice, the first one leaves the least behind
        for start in range(len(rest) - count + 1):
            window = rest[start : start + count]
            if sum(left for left, _ in window) >= amount:
                return _evenly(amount, window)
    return None


def _evenly(amount: int, window: list[tuple[int, str]]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for index, (left, device_id) in enumerate(window):
        open_devices = len(window) - index
        share = amount // open_devices
        share -= share % QUANTUM if open_devices > 1 else 0
        # what the small ones can't give, the larger ones after them share
        chosen[device_id] = min(left, share)
        amount -= chosen[device_id]
    for left, device_id in reversed(window):
        extra = min(amount, left - chosen[device_id])
        chosen[device_id] += extra
        amount -= extra
    return {device_id: part for device_id, part in chosen.items() if part}
