"""The rules that domains and projects share: descriptions and limits."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from shared.kernel.rejections import FieldError
from shared.kernel.slots import MAX_AMOUNT

NAME_MAX: Final = 64
DESCRIPTION_MAX: Final = 500
ENTRIES_MAX: Final = 64


def description_errors(description: str | UnsetType) -> Iterator[FieldError]:
    """Yield what is wrong with a description, if one is given."""
    if description is UNSET:
        return
    if len(description) > DESCRIPTION_MAX:
        text = f"A description has at most {DESCRIPTION_MAX} characters."
        yield FieldError("description", "too_long", text)
    elif not description.replace("\n", "").replace("\t", "").isprintable():
        text = "A description holds no control characters."
        yield FieldError("description", "control_character", text)


def slot_errors(limits: Mapping[str, int | None] | UnsetType) -> Iterator[FieldError]:
    """Yield what is wrong with the limits of resource slots, if given; null is unlimited."""
    if limits is UNSET:
        return
    if len(limits) > ENTRIES_MAX:
        text = f"Give at most {ENTRIES_MAX} resource slots."
        yield FieldError("total_resource_slots", "too_many", text)
        return
    for slot, amount in limits.items():
        field = f"total_resource_slots.{slot[:NAME_MAX]}"
        if not 0 < len(slot) <= NAME_MAX or not slot.isprintable():
            text = f"A resource slot's name has 1 to {NAME_MAX} characters."
            yield FieldError("total_resource_slots", "slot_name", text)
        elif amount is not None and not 0 <= amount <= MAX_AMOUNT:
            text = f"{slot}: give 0 or more, or null for unlimited."
            yield FieldError(field, "out_of_range", text)
