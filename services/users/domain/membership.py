"""A membership: a user of a domain in one of its projects, with a role."""

from typing import TypeAlias

import msgspec

from services.users.domain.refusals import against, erased, refused
from shared.contracts.users import (
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    ProjectRole,
    ProjectType,
    RemoveProjectMember,
    SetProjectMember,
    UsersEvent,
)
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found


class Place(msgspec.Struct, frozen=True):
    """What must be known of a project whose members change."""

    domain: str
    project_type: ProjectType = "general"
    is_active: bool = True
    domain_active: bool = True


class Person(msgspec.Struct, frozen=True):
    """What must be known of who joins or leaves."""

    domain: str
    is_erased: bool = False


class Membership(msgspec.Struct, frozen=True):
    """A user's part in a project. None stands for what does not exist."""

    place: Place | None
    person: Person | None
    role: ProjectRole | None = None


MembershipCommand: TypeAlias = SetProjectMember | RemoveProjectMember


def decide(
    state: Membership, command: MembershipCommand, _context: None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Let a user join, have another role or leave; what is so already changes nothing."""
    if state.place is None:
        return not_found("project", command.project_id[:64])
    if state.person is None:
        return not_found("user", command.user_id[:64])
    if isinstance(command, SetProjectMember):
        return _set(state.place, state.person, state.role, command)
    return _remove(state.place, state.role, command)


def entry_error(place: Place, field: str) -> FieldError | None:
    """Return why nobody new may join a project at present."""
    if not place.domain_active:
        text = "The domain is not active: nobody new enters its projects."
        return FieldError(field, "domain_inactive", text)
    if not place.is_active:
        text = "The project is not active: nobody new enters it."
        return FieldError(field, "project_inactive", text)
    return None


def _set(
    place: Place, person: Person, role: ProjectRole | None, command: SetProjectMember
) -> tuple[UsersEvent, ...] | Rejection:
    if person.is_erased:
        return erased()
    if person.domain != place.domain:
        return against(
            "user_id", "user_not_in_domain", "The user belongs to another domain than the project."
        )
    project_id, user_id = command.project_id, command.user_id
    if role is None:
        error = entry_error(place, "project_id")
        if error is not None:
            return refused((error,))
        return (ProjectMemberAdded(project_id=project_id, user_id=user_id, role=command.role),)
    if role == command.role:
        return ()
    return (ProjectMemberRoleSet(project_id=project_id, user_id=user_id, role=command.role),)


def _remove(
    place: Place, role: ProjectRole | None, command: RemoveProjectMember
) -> tuple[UsersEvent, ...] | Rejection:
    if role is None:
        return not_found("member", command.user_id[:64])
    if place.project_type == "model-store":
        return conflict(
            "model_store_member",
            "Every user of a domain belongs to its model-store projects; nobody leaves them.",
        )
    return (ProjectMemberRemoved(project_id=command.project_id, user_id=command.user_id),)
