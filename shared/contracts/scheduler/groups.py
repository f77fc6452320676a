"""Resource groups: agents under a name, with a queue of their own, and who may use them."""

from typing import ClassVar, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Sealed
from shared.contracts.kernels import SessionType

SchedulerType = Literal["fifo", "lifo", "drf"]
AgentSelection = Literal["dispersed", "concentrated", "roundrobin", "legacy"]
ALL_SESSION_TYPES: tuple[SessionType, ...] = ("interactive", "batch", "inference")


class ResourceGroupEvent(Event, frozen=True):
    """What the events of a resource group have in common."""

    AGGREGATE: ClassVar[str] = "resource-group"
    name: str

    def key(self) -> str:
        """Return the group's name."""
        return self.name


class ResourceGroupCreated(ResourceGroupEvent, frozen=True, tag="ResourceGroupCreated"):
    """Agents can be grouped under a name, with a scheduler of their own.

    Sessions may enter from the domains, the projects (ids) and with the keypairs (access keys)
    that are allowed; `allowed_domains` null is every domain. `pending_timeout` is in seconds,
    null and 0 are never; `retries_to_skip` null is as in the settings. The app proxy's token is
    sealed under the group's name.
    """

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


class ResourceGroupChanged(ResourceGroupEvent, frozen=True, tag="ResourceGroupChanged"):
    """Something about a group is different; what is absent has not changed."""

    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    scheduler: SchedulerType | UnsetType = UNSET
    retries_to_skip: int | UnsetType | None = UNSET
    pending_timeout: int | UnsetType | None = UNSET
    allowed_session_types: tuple[SessionType, ...] | UnsetType = UNSET
    agent_selection_strategy: AgentSelection | UnsetType = UNSET
    allow_fractional_resource_fragmentation: bool | UnsetType = UNSET
    wsproxy_addr: str | UnsetType | None = UNSET
    wsproxy_api_token: Sealed | UnsetType | None = UNSET
    allowed_domains: tuple[str, ...] | UnsetType | None = UNSET
    allowed_projects: tuple[str, ...] | UnsetType = UNSET
    allowed_keypairs: tuple[str, ...] | UnsetType = UNSET


class ResourceGroupDeleted(ResourceGroupEvent, frozen=True, tag="ResourceGroupDeleted"):
    """A group that nothing referred to is gone; ended sessions keep its name."""


class CreateResourceGroup(Command, frozen=True, tag="CreateResourceGroup"):
    """Create a group; if it is the default one, the former one no longer is.

    `scheduler` null is as in the settings. Who is allowed is not looked up: whoever sends it has
    seen that they exist. Projects or keypairs without domains close the group to other domains.
    Refused: `resource_group_exists` (409).
    """

    SERVICE: ClassVar = "scheduler"
    name: str
    description: str = ""
    is_active: bool = True
    is_public: bool = True
    is_default: bool = False
    scheduler: SchedulerType | None = None
    retries_to_skip: int | None = None
    pending_timeout: int | None = None
    allowed_session_types: tuple[SessionType, ...] = ALL_SESSION_TYPES
    agent_selection_strategy: AgentSelection = "dispersed"
    allow_fractional_resource_fragmentation: bool = True
    wsproxy_addr: str | None = None
    wsproxy_api_token: Sealed | None = None
    allowed_domains: tuple[str, ...] | UnsetType | None = UNSET
    allowed_projects: tuple[str, ...] = ()
    allowed_keypairs: tuple[str, ...] = ()


class ChangeResourceGroup(Command, frozen=True, tag="ChangeResourceGroup"):
    """Change what is given of a group, all of it or nothing; it holds for the next pass.

    Refused: `default_needed` (409: another group can be made the default one instead).
    """

    SERVICE: ClassVar = "scheduler"
    name: str
    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    scheduler: SchedulerType | UnsetType = UNSET
    retries_to_skip: int | UnsetType | None = UNSET
    pending_timeout: int | UnsetType | None = UNSET
    allowed_session_types: tuple[SessionType, ...] | UnsetType = UNSET
    agent_selection_strategy: AgentSelection | UnsetType = UNSET
    allow_fractional_resource_fragmentation: bool | UnsetType = UNSET
    wsproxy_addr: str | UnsetType | None = UNSET
    wsproxy_api_token: Sealed | UnsetType | None = UNSET
    allowed_domains: tuple[str, ...] | UnsetType | None = UNSET
    allowed_projects: tuple[str, ...] | UnsetType = UNSET
    allowed_keypairs: tuple[str, ...] | UnsetType = UNSET


class DeleteResourceGroup(Command, frozen=True, tag="DeleteResourceGroup"):
    """Delete a group that nothing refers to.

    Refused: `default_group` (409), `resource_group_in_use` (409) with `count` and at most twenty
    `references` of {type, id}: live agents, sessions that have not ended, and who is allowed.
    """

    SERVICE: ClassVar = "scheduler"
    name: str


GroupEvent: TypeAlias = ResourceGroupCreated | ResourceGroupChanged | ResourceGroupDeleted
GroupCommand: TypeAlias = CreateResourceGroup | ChangeResourceGroup | DeleteResourceGroup
