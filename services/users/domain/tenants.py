"""The rules that domains and projects share: names, descriptions, hosts and limits."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from shared.kernel.rejections import FieldError
from shared.kernel.slots import MAX_AMOUNT

NAME_MAX: Final = 64
DESCRIPTION_MAX: Final = 500
ENTRIES_MAX: Final = 64
PERMISSIONS: Final = frozenset(
    {
        "create-vfolder",
        "modify-vfolder",
        "delete-vfolder",
        "mount-in-session",
        "upload-file",
        "download-file",
        "invite-others",
        "set-user-specific-permission",
    }
)


def name_errors(name: str) -> Iterator[FieldError]:
    """Yield what is wrong with the name of a domain or a project; it may stand in a path."""
    if not 0 < len(name) <= NAME_MAX:
        yield FieldError("name", "length", f"A name has 1 to {NAME_MAX} characters.")
    elif not name.isprintable() or name != name.strip() or "/" in name or name in {".", ".."}:
        text = "A name holds no control characters, no '/', and no spaces at its ends."
        yield FieldError("name", "characters", text)


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


def host_errors(hosts: Mapping[str, tuple[str, ...]] | UnsetType) -> Iterator[FieldError]:
    """Yield what is wrong with the storage hosts and what may be done there, if given."""
    if hosts is UNSET:
        return
    if len(hosts) > ENTRIES_MAX:
        text = f"Give at most {ENTRIES_MAX} storage hosts."
        yield FieldError("allowed_hosts", "too_many", text)
        return
    for host, permissions in hosts.items():
        field = f"allowed_hosts.{host[:NAME_MAX]}"
        if not 0 < len(host) <= NAME_MAX or not host.isprintable():
            text = f"A storage host's name has 1 to {NAME_MAX} characters."
            yield FieldError("allowed_hosts", "host_name", text)
        elif len(set(permissions)) < len(permissions):
            yield FieldError(field, "repeated", "Name each permission once.")
        for permission in sorted(set(permissions) - PERMISSIONS):
            text = f"'{permission[:64]}' is none of {', '.join(sorted(PERMISSIONS))}."
            yield FieldError(field, "unknown_permission", text)


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


def differing(state: msgspec.Struct, command: msgspec.Struct, *fields: str) -> dict[str, Any]:
    """Return the given fields of a command that are not as they are already."""
    wished = {field: getattr(command, field) for field in fields}
    return {
        field: value
        for field, value in wished.items()
        if value is not UNSET and value != getattr(state, field)
    }
