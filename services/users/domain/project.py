"""A project: a group of users in one domain. A user is a member once."""

from typing import TypeAlias

import msgspec

from shared.contracts.base import Event
from shared.contracts.users import (
    ProjectCreated,
    ProjectMemberAdded,
    ProjectRole,
    ProjectType,
    UsersEvent,
)
from shared.kernel.rejections import Rejection, conflict, invalid, not_found

NAME_MAX = 64


class Project(msgspec.Struct, frozen=True):
    """What is known of a project; `project_id` is None before it exists."""

    project_id: str | None = None
    domain: str = ""
    members: dict[str, ProjectRole] = {}


class CreateProject(msgspec.Struct, frozen=True):
    """The wish for a new project; that its domain exists is checked by who asks."""

    project_id: str
    domain: str
    name: str
    project_type: ProjectType = "general"
    description: str = ""


class AddMember(msgspec.Struct, frozen=True):
    """The wish that a user of the project's domain is its member."""

    project_id: str
    user_id: str
    user_domain: str
    role: ProjectRole = "member"


ProjectCommand: TypeAlias = CreateProject | AddMember
INITIAL = Project()


def evolve(state: Project, event: Event) -> Project:
    """Return the project after an event."""
    if isinstance(event, ProjectCreated):
        return Project(project_id=event.project_id, domain=event.domain)
    if isinstance(event, ProjectMemberAdded):
        members = {**state.members, event.user_id: event.role}
        return msgspec.structs.replace(state, members=members)
    return state


def decide(
    state: Project, command: ProjectCommand, _context: None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a project once, and add each member once."""
    if isinstance(command, CreateProject):
        return _create(state, command)
    return _add_member(state, command)


def _create(state: Project, command: CreateProject) -> tuple[UsersEvent, ...] | Rejection:
    if state.project_id is not None:
        return conflict("project_exists", f"There is a project '{command.project_id}' already.")
    if not 0 < len(command.name) <= NAME_MAX or not command.name.isprintable():
        return invalid("name", "name", f"A project's name has 1 to {NAME_MAX} characters.")
    return (
        ProjectCreated(
            project_id=command.project_id,
            domain=command.domain,
            name=command.name,
            project_type=command.project_type,
            description=command.description,
        ),
    )


def _add_member(state: Project, command: AddMember) -> tuple[UsersEvent, ...] | Rejection:
    if state.project_id is None:
        return not_found("project", command.project_id)
    if state.domain != command.user_domain:
        return invalid(
            "projects", "project_not_in_domain", "The project belongs to another domain."
        )
    if state.members.get(command.user_id) == command.role:
        return ()
    return (
        ProjectMemberAdded(
            project_id=command.project_id, user_id=command.user_id, role=command.role
        ),
    )
