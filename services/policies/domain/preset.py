"""A preset: a named request for resources that users may choose."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from services.policies.domain.limits import refused, slot_errors
from shared.contracts.base import Event
from shared.contracts.policies import (
    ChangePreset,
    DefinePreset,
    DeletePreset,
    PoliciesEvent,
    PresetChanged,
    PresetDefined,
    PresetDeleted,
)
from shared.kernel.changes import differing
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found

NAME_MAX: Final = 64
GROUP_MAX: Final = 64
NEEDED: Final = ("cpu", "mem")
# Presets are reached by name in paths that end in these words.
RESERVED: Final = frozenset({"available"})

_CHANGEABLE: Final = ("resource_slots", "shared_memory")


class Preset(msgspec.Struct, frozen=True):
    """A preset in the words in which it could be defined as it is now; None: there is none."""

    values: PresetDefined | None = None


class NewPreset(msgspec.Struct, frozen=True):
    """What a definition needs beside the wish."""

    preset_id: str


PresetCommand: TypeAlias = DefinePreset | ChangePreset | DeletePreset
INITIAL: Final = Preset()


def evolve(state: Preset, event: Event) -> Preset:
    """Return the preset after an event."""
    if isinstance(event, PresetDefined):
        return Preset(event)
    if isinstance(event, PresetDeleted):
        return INITIAL
    if isinstance(event, PresetChanged) and state.values is not None:
        return Preset(
            msgspec.structs.replace(state.values, **differing(state.values, event, *_CHANGEABLE))
        )
    return state


def decide(
    state: Preset, command: PresetCommand, context: NewPreset | None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Define, change or delete a preset; that its name is free is claimed by who asks."""
    if isinstance(command, DefinePreset):
        if context is None:
            raise TypeError("a definition is decided on the new preset's id")
        return _define(state, command, context)
    if state.values is None:
        return not_found("preset", command.preset_id[:64])
    if isinstance(command, DeletePreset):
        return (PresetDeleted(preset_id=command.preset_id),)
    return _change(state.values, command)


def taken(name: str, resource_group: str | None) -> Rejection:
    """Return the refusal of a name that another preset holds."""
    where = "every group" if resource_group is None else f"the group '{resource_group}'"
    text = f"There is a preset '{name}' for {where} already."
    return conflict("preset_exists", text, field="name")


def _define(
    state: Preset, command: DefinePreset, context: NewPreset
) -> tuple[PoliciesEvent, ...] | Rejection:
    wish = PresetDefined(
        preset_id=context.preset_id,
        name=command.name,
        resource_slots=command.resource_slots,
        shared_memory=command.shared_memory,
        resource_group=command.resource_group,
    )
    errors = (*_name_errors(wish), *_slot_errors(wish.resource_slots), *_memory_errors(wish))
    if errors:
        return refused(errors)
    if state.values is not None:
        return taken(command.name, command.resource_group)
    return (wish,)


def _change(before: PresetDefined, command: ChangePreset) -> tuple[PoliciesEvent, ...] | Rejection:
    given = differing(before, command, *_CHANGEABLE)
    after = msgspec.structs.replace(before, **given)
    errors = (*_slot_errors(after.resource_slots), *_memory_errors(after))
    if errors:
        return refused(errors)
    return (PresetChanged(preset_id=before.preset_id, **given),) if given else ()


def _name_errors(wish: PresetDefined) -> Iterator[FieldError]:
    yield from name_errors(wish.name, NAME_MAX)
    if wish.name in RESERVED:
        yield FieldError("name", "reserved", f"'{wish.name}' is no name for a preset.")
    if wish.resource_group is not None and not 0 < len(wish.resource_group) <= GROUP_MAX:
        text = "Name a resource group, or give null for a preset of every group."
        yield FieldError("resource_group", "length", text)


def _slot_errors(slots: Mapping[str, int]) -> Iterator[FieldError]:
    yield from slot_errors("resource_slots", slots)
    for slot in NEEDED:
        if slot not in slots:
            yield FieldError(f"resource_slots.{slot}", "required", f"A preset needs {slot}.")
    for slot, amount in slots.items():
        if amount == 0:
            text = f"{slot}: a preset asks for more than 0."
            yield FieldError(f"resource_slots.{slot}", "not_positive", text)


def _memory_errors(wish: PresetDefined) -> Iterator[FieldError]:
    if wish.shared_memory is None:
        return
    if wish.shared_memory < 0:
        yield FieldError("shared_memory", "negative", "Shared memory is 0 or more.")
    elif wish.shared_memory >= wish.resource_slots.get("mem", 0):
        text = "Shared memory is a part of mem and must be smaller."
        yield FieldError("shared_memory", "too_large", text)
