"""The rules that the limits of every policy share. Null is unlimited and always allowed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from shared.contracts.base import Event
from shared.kernel.changes import differing
from shared.kernel.rejections import FieldError, Rejection, all_invalid
from shared.kernel.slots import MAX_AMOUNT, MILLI, slot_name_error

COUNT_MAX: Final = 2**31 - 1
ENTRIES_MAX: Final = 64
WHOLE_DEVICES: Final = "cuda.device"
# Rules that have a code of their own when nothing else is wrong.
NAMED: Final = frozenset({"above_maximum", "whole_devices"})

E = TypeVar("E", bound=Event)


def refused(errors: Sequence[FieldError]) -> Rejection:
    """Return one refusal of every field that breaks a rule."""
    return all_invalid(tuple(errors), NAMED)


def amount_errors(
    wish: msgspec.Struct, *fields: str, most: int = COUNT_MAX
) -> Iterator[FieldError]:
    """Yield the fields that are below zero or above what can be meant."""
    for field in fields:
        amount = getattr(wish, field)
        if amount is UNSET or amount is None:
            continue
        if amount < 0:
            text = f"{field}: give 0 or more, or null for unlimited."
            yield FieldError(field, "negative", text)
        elif amount > most:
            text = f"{field}: give at most {most}, or null for unlimited."
            yield FieldError(field, "too_large", text)


def slot_errors(field: str, limits: Mapping[str, int | None] | UnsetType) -> Iterator[FieldError]:
    """Yield what is wrong with a map of resource slots: limits, or amounts above zero."""
    if limits is UNSET:
        return
    if len(limits) > ENTRIES_MAX:
        text = f"{field}: give at most {ENTRIES_MAX} resource slots."
        yield FieldError(field, "too_many", text)
        return
    for slot, amount in limits.items():
        path = f"{field}.{slot}"
        if (wrong := slot_name_error(slot)) is not None:
            yield FieldError(field, wrong.code, wrong.message)
        elif amount is None:
            continue
        elif amount < 0:
            yield FieldError(path, "negative", f"{path}: give 0 or more, or null for unlimited.")
        elif amount > MAX_AMOUNT:
            yield FieldError(path, "too_large", f"{path}: that is beyond any machine.")
        elif slot == WHOLE_DEVICES and amount % MILLI:
            text = f"{path}: give a whole number of devices; shares of them are cuda.shares."
            yield FieldError(path, "whole_devices", text)


def created(event: type[E], wish: msgspec.Struct) -> E:
    """Return the event of a creation: all its fields are those of the wish."""
    return event(**{field: getattr(wish, field) for field in event.__struct_fields__})


def changes(values: msgspec.Struct, wish: msgspec.Struct) -> dict[str, Any]:
    """Return what a change gives that is not so already; the name is never among it."""
    return differing(
        values, wish, *(field for field in values.__struct_fields__ if field != "name")
    )
