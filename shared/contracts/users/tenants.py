"""Domains, projects and who belongs to them: events and commands."""

from typing import ClassVar, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Limits
from shared.contracts.users.types import AllowedHosts, ProjectRole, ProjectType


class DomainCreated(Event, frozen=True, tag="DomainCreated"):
    """A domain, the outermost tenant, exists."""

    AGGREGATE: ClassVar[str] = "domain"
    name: str
    description: str = ""
    is_active: bool = True
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}

    def key(self) -> str:
        """Return the domain's name."""
        return self.name


class DomainChanged(Event, frozen=True, tag="DomainChanged"):
    """Something about a domain is different; what is absent has not changed."""

    AGGREGATE: ClassVar[str] = "domain"
    name: str
    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    allowed_hosts: AllowedHosts | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET

    def key(self) -> str:
        """Return the domain's name."""
        return self.name


class ProjectEvent(Event, frozen=True):
    """What the events of a project have in common."""

    AGGREGATE: ClassVar[str] = "project"
    project_id: str

    def key(self) -> str:
        """Return the project's id."""
        return self.project_id


class ProjectCreated(ProjectEvent, frozen=True, tag="ProjectCreated"):
    """A project exists in a domain."""

    domain: str
    name: str
    project_type: ProjectType
    description: str = ""
    resource_policy: str = "default"
    is_active: bool = True
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}


class ProjectChanged(ProjectEvent, frozen=True, tag="ProjectChanged"):
    """Something about a project is different; what is absent has not changed."""

    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    allowed_hosts: AllowedHosts | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET


class ProjectMemberAdded(ProjectEvent, frozen=True, tag="ProjectMemberAdded"):
    """A user is a member of a project."""

    user_id: str
    role: ProjectRole = "member"


class ProjectMemberRoleSet(ProjectEvent, frozen=True, tag="ProjectMemberRoleSet"):
    """A member of a project has another role in it."""

    user_id: str
    role: ProjectRole


class ProjectMemberRemoved(ProjectEvent, frozen=True, tag="ProjectMemberRemoved"):
    """A user is no longer a member of a project."""

    user_id: str


class CreateDomain(Command, frozen=True, tag="CreateDomain"):
    """Create a domain; its name is its identity for ever."""

    SERVICE: ClassVar = "users"
    name: str
    description: str = ""
    is_active: bool = True
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}


class ChangeDomain(Command, frozen=True, tag="ChangeDomain"):
    """Change what is given of a domain."""

    SERVICE: ClassVar = "users"
    name: str
    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    allowed_hosts: AllowedHosts | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET


class CreateProject(Command, frozen=True, tag="CreateProject"):
    """Create a project in a domain. The result holds `project_id`.

    Every user of the domain joins a new project of type `model-store` in the same transaction.
    """

    SERVICE: ClassVar = "users"
    domain: str
    name: str
    project_type: ProjectType
    description: str = ""
    is_active: bool = True
    resource_policy: str = "default"
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}


class ChangeProject(Command, frozen=True, tag="ChangeProject"):
    """Change what is given of a project."""

    SERVICE: ClassVar = "users"
    project_id: str
    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    allowed_hosts: AllowedHosts | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET


class SetProjectMember(Command, frozen=True, tag="SetProjectMember"):
    """Make a user of the domain a member of a project, or give a member another role."""

    SERVICE: ClassVar = "users"
    project_id: str
    user_id: str
    role: ProjectRole = "member"


class RemoveProjectMember(Command, frozen=True, tag="RemoveProjectMember"):
    """End a membership; nobody leaves a model-store project of the own domain."""

    SERVICE: ClassVar = "users"
    project_id: str
    user_id: str


TenantEvent: TypeAlias = (
    DomainCreated
    | DomainChanged
    | ProjectCreated
    | ProjectChanged
    | ProjectMemberAdded
    | ProjectMemberRoleSet
    | ProjectMemberRemoved
)
TenantCommand: TypeAlias = (
    CreateDomain
    | ChangeDomain
    | CreateProject
    | ChangeProject
    | SetProjectMember
    | RemoveProjectMember
)
