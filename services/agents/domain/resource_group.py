"""The resource groups that agents may belong to, as the scheduler's log tells of them."""

from typing import Final

import msgspec

from shared.contracts.base import Event
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
)


class ResourceGroups(msgspec.Struct, frozen=True):
    """The names of all groups, and the default one."""

    names: frozenset[str] = frozenset()
    default: str | None = None


INITIAL: Final = ResourceGroups()


def evolve(state: ResourceGroups, event: Event) -> ResourceGroups:
    """Return the groups after an event; other events change nothing."""
    match event:
        case ResourceGroupCreated():
            default = event.name if event.is_default else state.default
            return ResourceGroups(names=state.names | {event.name}, default=default)
        case ResourceGroupChanged(is_default=True):
            return ResourceGroups(names=state.names, default=event.name)
        case ResourceGroupDeleted():
            return ResourceGroups(names=state.names - {event.name}, default=state.default)
    return state


def resolve(groups: ResourceGroups, wanted: str) -> str | None:
    """Return the group of an agent that names `wanted`: that one, else the default, else none."""
    return wanted if wanted in groups.names else groups.default
