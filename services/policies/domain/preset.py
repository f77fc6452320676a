"""A preset: a named request for resources that users may choose."""

from collections.abc import Iterator

import msgspec

from services.policies.domain.limits import name_errors
from shared.contracts.base import Event
from shared.contracts.policies import PoliciesEvent, PresetDefined
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict

NEEDED = ("cpu", "mem")


class Preset(msgspec.Struct, frozen=True):
    """What is known of a preset; `preset_id` is None before it exists."""

    preset_id: str | None = None


INITIAL = Preset()


def evolve(state: Preset, event: Event) -> Preset:
    """Return the preset after an event."""
    if isinstance(event, PresetDefined):
        return Preset(preset_id=event.preset_id)
    return state


def decide(
    state: Preset, wish: PresetDefined, _context: None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Define a preset once; that its name is free is claimed by who asks. The wish is the event."""
    if state.preset_id is not None:
        return conflict("preset_exists", f"There is a preset '{state.preset_id}' already.")
    errors = (*name_errors(wish.name), *_slot_errors(wish))
    return all_invalid(errors) if errors else (wish,)


def _slot_errors(wish: PresetDefined) -> Iterator[FieldError]:
    for slot in NEEDED:
        if slot not in wish.resource_slots:
            yield FieldError(f"resource_slots.{slot}", "required", f"A preset needs {slot}.")
    for slot, amount in wish.resource_slots.items():
        if amount <= 0:
            text = f"{slot}: a preset asks for more than 0."
            yield FieldError(f"resource_slots.{slot}", "not_positive", text)
    if wish.shared_memory is None:
        return
    if wish.shared_memory < 0:
        yield FieldError("shared_memory", "negative", "Shared memory is 0 or more.")
    elif wish.shared_memory >= wish.resource_slots.get("mem", 0):
        text = "Shared memory is a part of mem and must be smaller."
        yield FieldError("shared_memory", "too_large", text)
