"""A resource group: a queue of its own, the agents that serve it, and who may enter."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from services.scheduler.domain.group_rules import field_errors, in_order, only_fifo, proxy_address
from services.scheduler.placement.model import (
    DEFAULT_RETRIES_TO_SKIP,
    GroupOptions,
)
from shared.contracts.base import Sealed
from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import (
    ALL_SESSION_TYPES,
    AgentSelection,
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
    EnqueueSession,
    GroupCommand,
    GroupEvent,
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
    ResourceGroupEvent,
    SchedulerType,
)
from shared.kernel.changes import differing
from shared.kernel.rejections import Rejection, all_invalid, conflict, not_found

DEFAULT_GROUP: Final = "default"
REFERENCES_MAX: Final = 20
_FIELDS: Final = (
    "description",
    "is_active",
    "is_public",
    "is_default",
    "scheduler",
    "retries_to_skip",
    "pending_timeout",
    "allowed_session_types",
    "agent_selection_strategy",
    "allow_fractional_resource_fragmentation",
    "wsproxy_addr",
    "wsproxy_api_token",
    "allowed_domains",
    "allowed_projects",
    "allowed_keypairs",
)


class Defaults(NamedTuple):
    """What holds where a group says nothing itself, as the system settings have it."""

    retries_to_skip: int = DEFAULT_RETRIES_TO_SKIP
    max_containers: int | None = None


class ResourceGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a group. `retries_to_skip` None: as the settings say.

    `allowed_domains` None is every domain; `pending_timeout` is in seconds, None and 0 are never.
    """

    name: str
    description: str = ""
    is_active: bool = True
    is_public: bool = True
    is_default: bool = False
    scheduler: SchedulerType = "fifo"
    retries_to_skip: int | None = None
    pending_timeout: int | None = None
    allowed_session_types: tuple[SessionType, ...] = ALL_SESSION_TYPES
    agent_selection_strategy: AgentSelection = "dispersed"
    allow_fractional_resource_fragmentation: bool = True
    wsproxy_addr: str | None = None
    wsproxy_api_token: Sealed | None = None
    allowed_domains: tuple[str, ...] | None = None
    allowed_projects: tuple[str, ...] = ()
    allowed_keypairs: tuple[str, ...] = ()

    @property
    def options(self) -> GroupOptions:
        """Return how it places when the settings are as they come."""
        return self.options_under(Defaults())

    def options_under(self, defaults: Defaults) -> GroupOptions:
        """Return how it places, with what the settings say where it says nothing."""
        retries = self.retries_to_skip
        return GroupOptions(
            name=self.name,
            is_active=self.is_active,
            strategy=self.agent_selection_strategy,
            retries_to_skip=defaults.retries_to_skip if retries is None else retries,
            scheduler=self.scheduler,
            max_containers=defaults.max_containers,
            allows_fragmentation=self.allow_fractional_resource_fragmentation,
        )

    def admits(self, domain: str, project_id: str, access_key: str | None) -> bool:
        """Tell whether sessions of a project may enter, as they are of its domain or keypair."""
        return self.is_public and (
            self.allowed_domains is None
            or domain in self.allowed_domains
            or project_id in self.allowed_projects
            or access_key in self.allowed_keypairs
        )

    def takes(self, session_type: SessionType) -> bool:
        """Tell whether new sessions of a type are taken now."""
        return self.is_active and session_type in self.allowed_session_types


class Reference(msgspec.Struct, frozen=True):
    """Something that a group can't be deleted for."""

    type: str
    id: str


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on besides the group.

    `default` is the name of the default group and `scheduler` what new groups have; of what refers
    to this group `references` are some and `count` all.
    """

    default: str | None = None
    scheduler: SchedulerType = "fifo"
    references: tuple[Reference, ...] = ()
    count: int = 0


def evolve(state: ResourceGroup | None, event: ResourceGroupEvent) -> ResourceGroup | None:
    """Return the group after an event, None when it is gone."""
    match event:
        case ResourceGroupCreated():
            return ResourceGroup(
                name=event.name, **{name: getattr(event, name) for name in _FIELDS}
            )
        case ResourceGroupChanged() if state is not None:
            return msgspec.structs.replace(state, **differing(state, event, *_FIELDS))
    return None


def decide(
    state: ResourceGroup | None, command: GroupCommand, context: Context
) -> tuple[GroupEvent, ...] | Rejection:
    """Create, change or delete a group; of the events one may be about the former default one."""
    match command:
        case CreateResourceGroup():
            return _create(state, command, context)
        case ChangeResourceGroup():
            return _change(state, command, context)
        case DeleteResourceGroup():
            return _delete(state, command, context)


def _create(
    state: ResourceGroup | None, command: CreateResourceGroup, context: Context
) -> tuple[GroupEvent, ...] | Rejection:
    scheduler = context.scheduler if command.scheduler is None else command.scheduler
    errors = (*field_errors(command), *only_fifo(scheduler, command.retries_to_skip))
    if errors:
        return all_invalid(errors)
    if state is not None:
        text = f"There is a resource group '{command.name}' already."
        return conflict("resource_group_exists", text, field="name")
    given: dict[str, Any] = {name: getattr(command, name) for name in _FIELDS}
    given["allowed_domains"] = command.allowed_domains
    given |= _normal(command) | _closing(None, command) | {"scheduler": scheduler}
    if given["allowed_domains"] is UNSET:
        given["allowed_domains"] = None
    created = ResourceGroupCreated(name=command.name, **given)
    return (*_succeed(command.name, context, is_default=command.is_default), created)


def _change(
    state: ResourceGroup | None, command: ChangeResourceGroup, context: Context
) -> tuple[GroupEvent, ...] | Rejection:
    if state is None:
        return not_found("resource_group", command.name[:64])
    scheduler = state.scheduler if command.scheduler is UNSET else command.scheduler
    errors = (*field_errors(command), *only_fifo(scheduler, command.retries_to_skip))
    if errors:
        return all_invalid(errors)
    if command.is_default is False and state.is_default:
        text = "One group is the default one; make another group the default instead."
        return conflict("default_needed", text, field="is_default")
    command = msgspec.structs.replace(command, **_normal(command), **_closing(state, command))
    changed = differing(state, command, *_FIELDS)
    if not changed:
        return ()
    former = _succeed(state.name, context, is_default=bool(changed.get("is_default")))
    return (*former, ResourceGroupChanged(name=state.name, **changed))


def _delete(
    state: ResourceGroup | None, command: DeleteResourceGroup, context: Context
) -> tuple[GroupEvent, ...] | Rejection:
    if state is None:
        return not_found("resource_group", command.name[:64])
    if state.is_default:
        text = "The default group can't be deleted; make another group the default first."
        return conflict("default_group", text)
    allowed = associations(state)
    count = context.count + len(allowed)
    if count:
        found = (*context.references, *allowed)[:REFERENCES_MAX]
        return conflict(
            "resource_group_in_use",
            f"The group {state.name} is in use: move its agents elsewhere, let its sessions end, "
            "and allow nobody to enter it.",
            count=count,
            references=[msgspec.to_builtins(one) for one in found],
        )
    return (ResourceGroupDeleted(name=state.name),)


def associations(state: ResourceGroup) -> tuple[Reference, ...]:
    """Return who is named as allowed to enter."""
    return (
        *(Reference("domain", name) for name in state.allowed_domains or ()),
        *(Reference("project", key) for key in state.allowed_projects),
        *(Reference("keypair", key) for key in state.allowed_keypairs),
    )


def _succeed(name: str, context: Context, *, is_default: bool) -> tuple[ResourceGroupChanged, ...]:
    """Return what makes room for a new default group."""
    if not is_default or context.default in {None, name}:
        return ()
    return (ResourceGroupChanged(name=str(context.default), is_default=False),)


def _closing(
    state: ResourceGroup | None, command: CreateResourceGroup | ChangeResourceGroup
) -> dict[str, Any]:
    """Close a group to the domains that are not named, when it is opened for somebody only."""
    is_open = state is None or state.allowed_domains is None
    is_for_some = any(
        value is not UNSET and value
        for value in (command.allowed_projects, command.allowed_keypairs)
    )
    if command.allowed_domains is UNSET and is_open and is_for_some:
        return {"allowed_domains": ()}
    return {}


def _normal(command: CreateResourceGroup | ChangeResourceGroup) -> dict[str, Any]:
    """Return the given fields that may be said in several ways as they are kept."""
    found: dict[str, Any] = {}
    if command.allowed_session_types is not UNSET:
        found["allowed_session_types"] = in_order(command.allowed_session_types)
    if isinstance(command.wsproxy_addr, str):
        found["wsproxy_addr"] = proxy_address(command.wsproxy_addr)
    for name in ("allowed_domains", "allowed_projects", "allowed_keypairs"):
        value = getattr(command, name)
        if isinstance(value, tuple):
            found[name] = tuple(dict.fromkeys(value))
    return found


def choose(
    groups: Iterable[ResourceGroup], session: EnqueueSession, access_key: str | None
) -> str | None:
    """Return the group of a session that names none: the default one, else the first by name."""
    usable = (
        (not group.is_default, group.name)
        for group in groups
        if group.takes(session.session_type)
        and group.admits(session.domain, session.project_id, access_key)
    )
    first = min(usable, default=None)
    return None if first is None else first[1]


def seed(state: ResourceGroup | None) -> tuple[ResourceGroupCreated, ...]:
    """Create the default group, unless it is there."""
    if state is not None:
        return ()
    return (
        ResourceGroupCreated(
            name=DEFAULT_GROUP, description="Created at the first start.", is_default=True
        ),
    )
