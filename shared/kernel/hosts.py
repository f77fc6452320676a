"""Storage hosts, and what may be done there."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import UNSET, UnsetType

from shared.kernel.rejections import FieldError

HOSTS_MAX: Final = 64
NAME_MAX: Final = 64
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


def host_errors(hosts: Mapping[str, tuple[str, ...]] | UnsetType) -> Iterator[FieldError]:
    """Yield what is wrong with a map of storage hosts to permissions, if one is given."""
    if hosts is UNSET:
        return
    if len(hosts) > HOSTS_MAX:
        text = f"Give at most {HOSTS_MAX} storage hosts."
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
