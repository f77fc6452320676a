"""What the scheduler knows of users and projects: a replica of the users service's events."""

from dataclasses import dataclass, field

from msgspec import UNSET

from shared.contracts.base import Event
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    Role,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserRoleChanged,
    UserStatus,
)
from shared.kernel.rejections import FieldError


@dataclass(slots=True)
class _User:
    role: Role
    status: UserStatus


@dataclass(slots=True)
class _Project:
    domain: str
    name: str
    is_active: bool
    members: set[str] = field(default_factory=set)


class UsersView:
    """Who may work in which project."""

    def __init__(self) -> None:
        self._users: dict[str, _User] = {}
        self._projects: dict[str, _Project] = {}
        self._closed_domains: set[str] = set()

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self._apply_to_users(event)
        self._apply_to_projects(event)

    def _apply_to_users(self, event: Event) -> None:
        match event:
            case UserCreated():
                self._users[event.user_id] = _User(event.role, event.status)
            case UserActivated():
                self._users[event.user_id].status = "active"
            case UserDeactivated():
                self._users[event.user_id].status = "inactive"
            case UserRoleChanged():
                self._users[event.user_id].role = event.role

    def _apply_to_projects(self, event: Event) -> None:
        match event:
            case DomainCreated() | DomainChanged() if event.is_active is not UNSET:
                self._closed_domains.discard(event.name)
                if not event.is_active:
                    self._closed_domains.add(event.name)
            case ProjectCreated():
                project = _Project(event.domain, event.name, event.is_active)
                self._projects[event.project_id] = project
            case ProjectChanged() if event.is_active is not UNSET:
                self._projects[event.project_id].is_active = event.is_active
            case ProjectMemberAdded():
                self._projects[event.project_id].members.add(event.user_id)
            case ProjectMemberRemoved():
                self._projects[event.project_id].members.discard(event.user_id)

    def user_problem(self, user_id: str) -> FieldError | None:
        """Return why a user may not have sessions."""
        user = self._users.get(user_id)
        if user is None:
            return FieldError("user_id", "user_not_found", "The user does not exist.")
        if user.status != "active":
            return FieldError("user_id", "user_not_active", f"The user is {user.status}.")
        return None

    def is_superadmin(self, user_id: str) -> bool:
        """Tell whether a user is one of those who see everything."""
        user = self._users.get(user_id)
        return user is not None and user.role == "superadmin"

    def project_problem(self, user_id: str, project_id: str, domain: str) -> FieldError | None:
        """Return why a user may not have sessions in a project."""
        project = self._projects.get(project_id)
        if project is None or project.domain != domain:
            message = f"There is no such project in the domain {domain[:64]}."
            return FieldError("project", "project_not_found", message)
        if not self.is_superadmin(user_id) and user_id not in project.members:
            message = f"The user is not a member of the project {project.name}."
            return FieldError("project", "not_a_member", message)
        if domain in self._closed_domains:
            message = f"The domain {domain} is not active: it takes no new sessions."
            return FieldError("project", "domain_inactive", message)
        if not project.is_active:
            message = f"The project {project.name} is not active: it takes no new sessions."
            return FieldError("project", "project_inactive", message)
        return None
