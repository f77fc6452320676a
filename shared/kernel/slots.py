"""Resource slots in integers: counts in thousandths, memory in bytes; never floats.

A slot map (`Slots`) gives an amount for each slot name; a slot that is absent is zero.
A limit map (`Limits`) gives a ceiling; `None`, or a slot that is absent, is unlimited.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, TypeAlias

from shared.kernel.rejections import FieldError

Slots: TypeAlias = dict[str, int]
Limits: TypeAlias = dict[str, int | None]
RawSlots: TypeAlias = Mapping[str, int | float | str | None]

MILLI: Final = 1000
MAX_AMOUNT: Final = 2**60
BINARY_UNITS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
BINARY: Final = 1024
BYTE_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?")
_AMOUNT = re.compile(
    r"(?P<number>\d{1,19}(\.\d{1,9})?)(?P<unit>[kmgtp]?)(i?b)?", re.IGNORECASE | re.ASCII
)


def is_bytes(name: str) -> bool:
    """Tell whether a slot counts bytes: `mem` itself or any name that contains it."""
    return "mem" in name


def parse_amount(name: str, raw: float | str) -> int | FieldError:
    """Parse one amount: a number, a decimal string, or with a binary suffix (`"8g"`).

    Counts become thousandths, bytes stay bytes. A finer amount than the slot's unit is an error,
    as are negative, infinite and absurdly large ones.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return FieldError(name, "not_a_number", f"{name}: give a number such as 2 or '8g'.")
    text = raw.strip() if isinstance(raw, str) else format(Decimal(str(raw)), "f")
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return FieldError(name, "not_a_number", f"{name}: '{text[:40]}' is not an amount.")
    try:
        number = Decimal(match["number"])
    except InvalidOperation:
        return FieldError(name, "not_a_number", f"{name}: '{text[:40]}' is not an amount.")
    unit = match["unit"].lower()
    if unit and not is_bytes(name):
        return FieldError(name, "unit_not_allowed", f"{name}: a count has no unit '{unit}'.")
    scaled = number * (2 ** BINARY_UNITS[unit]) if is_bytes(name) else number * MILLI
    if scaled != scaled.to_integral_value():
        finest = "one byte" if is_bytes(name) else "0.001"
        return FieldError(name, "too_fine", f"{name}: '{text}' is finer than {finest}.")
    if scaled > MAX_AMOUNT:
        return FieldError(name, "too_large", f"{name}: '{text[:40]}' is beyond any machine.")
    return int(scaled)


def slot_name_error(name: str) -> FieldError | None:
    """Return what is wrong with the name of a slot, if anything; what it counts may be unknown."""
    if _NAME.fullmatch(name) and len(name) <= 64:
        return None
    return FieldError(name[:64], "slot_name", f"'{name[:64]}' is not the name of a slot.")


def parse_slots(raw: RawSlots) -> Slots | tuple[FieldError, ...]:
    """Parse a request's slot map; every wrong entry is reported, zero amounts are dropped."""
    slots: Slots = {}
    errors: list[FieldError] = []
    for name, value in raw.items():
        amount = slot_name_error(name) or (
            FieldError(name, "required", f"{name}: an amount is needed.")
            if value is None
            else parse_amount(name, value)
        )
        if isinstance(amount, FieldError):
            errors.append(amount)
        elif amount:
            slots[name] = amount
    return tuple(errors) if errors else slots


def parse_limits(raw: RawSlots) -> Limits | tuple[FieldError, ...]:
    """Parse a limit map: as `parse_slots`, but `null` means unlimited and zero means zero."""
    limits: Limits = {}
    errors: list[FieldError] = []
    for name, value in raw.items():
        amount = slot_name_error(name) or (None if value is None else parse_amount(name, value))
        if isinstance(amount, FieldError):
            errors.append(amount)
        else:
            limits[name] = amount
    return tuple(errors) if errors else limits


def render_amount(name: str, amount: int) -> str:
    """Render an amount as the API does: a decimal string without trailing zeros."""
    if is_bytes(name):
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), MILLI)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{sign}{whole}{fraction}"


def say_amount(name: str, amount: int) -> str:
    """Render an amount for people: bytes with a binary unit, to two decimals."""
    if not is_bytes(name):
        return render_amount(name, amount)
    rest, power = Decimal(amount), 0
    while abs(rest) >= BINARY and power < len(BYTE_UNITS) - 1:
        rest /= BINARY
        power += 1
    text = f"{rest:.2f}".rstrip("0").rstrip(".") if power else f"{rest:f}"
    return f"{text} {BYTE_UNITS[power]}"


@lru_cache(maxsize=65_536)
def amount_of(name: str, text: str) -> int:
    """Return the amount that `render_amount` has rendered as `text`."""
    return int(text) if is_bytes(name) else int(Decimal(text).scaleb(3))


def slots_of(rendered: Mapping[str, str]) -> Slots:
    """Return the slot map that `render_slots` has rendered."""
    return {name: amount_of(name, text) for name, text in rendered.items()}


def limits_of(rendered: Mapping[str, str | None]) -> Limits:
    """Return the limit map that `render_limits` has rendered."""
    return {
        name: None if text is None else amount_of(name, text) for name, text in rendered.items()
    }


def render_slots(slots: Mapping[str, int]) -> dict[str, str]:
    """Render a slot map as the API does, in the order of the names."""
    return {name: render_amount(name, slots[name]) for name in sorted(slots)}


def render_limits(limits: Mapping[str, int | None]) -> dict[str, str | None]:
    """Render a limit map as the API does; unlimited is null."""
    return {
        name: None if (value := limits[name]) is None else render_amount(name, value)
        for name in sorted(limits)
    }


def add(left: Mapping[str, int], right: Mapping[str, int]) -> Slots:
    """Return the slot-wise sum."""
    total = dict(left)
    for name, amount in right.items():
        total[name] = total.get(name, 0) + amount
    return total


def subtract(left: Mapping[str, int], right: Mapping[str, int]) -> Slots:
    """Return the slot-wise difference; it may be negative."""
    rest = dict(left)
    for name, amount in right.items():
        rest[name] = rest.get(name, 0) - amount
    return rest


def multiply(slots: Mapping[str, int], factor: int) -> Slots:
    """Return every amount times `factor`."""
    return {name: amount * factor for name, amount in slots.items()}


def fits(request: Mapping[str, int], free: Mapping[str, int]) -> bool:
    """Tell whether every slot of `request` is at most what is free (absent in `free` is zero)."""
    return all(amount <= free.get(name, 0) for name, amount in request.items())


def shortage(request: Mapping[str, int], free: Mapping[str, int]) -> Slots:
    """Return by how much each slot is short; empty exactly when `fits`."""
    return {
        name: amount - free.get(name, 0)
        for name, amount in request.items()
        if amount > free.get(name, 0)
    }


def within(amounts: Mapping[str, int], limits: Mapping[str, int | None]) -> bool:
    """Tell whether no slot exceeds its limit; `None` and absent are unlimited."""
    return not excess(amounts, limits)


def excess(amounts: Mapping[str, int], limits: Mapping[str, int | None]) -> Slots:
    """Return by how much each slot exceeds its limit; empty exactly when `within`."""
    over: Slots = {}
    for name, amount in amounts.items():
        ceiling = limits.get(name)
        if ceiling is not None and amount > ceiling:
            over[name] = amount - ceiling
    return over
