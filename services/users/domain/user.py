"""A user: a person with a role in one domain."""

from collections.abc import Iterator, Mapping

import msgspec

from services.users.domain.profile import profile_errors
from shared.contracts.base import Event, Sealed
from shared.contracts.users import CreateUser, Role, UserCreated, UsersEvent, UserStatus
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict

PROJECTS_MAX = 100


class User(msgspec.Struct, frozen=True):
    """What is known of a user; `user_id` is None before the user exists."""

    user_id: str | None = None
    domain: str = ""
    role: Role = "user"
    status: UserStatus = "inactive"


class SealedProfile(msgspec.Struct, frozen=True):
    """A person's texts, sealed under the person's key."""

    email: Sealed
    username: Sealed
    full_name: Sealed
    description: Sealed


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a creation is decided on.

    `projects` gives the domain of each project asked for that exists; `password_error` is what
    the password rule says.
    """

    user_id: str
    profile: SealedProfile
    domain_exists: bool
    projects: Mapping[str, str]
    policy_exists: bool
    password_error: FieldError | None = None


INITIAL = User()


def evolve(state: User, event: Event) -> User:
    """Return the user after an event."""
    if isinstance(event, UserCreated):
        return User(
            user_id=event.user_id, domain=event.domain, role=event.role, status=event.status
        )
    return state


def decide(
    state: User, command: CreateUser, context: NewUser
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a user once; a refusal lists every field that breaks a rule."""
    if state.user_id is not None:
        return conflict("user_exists", f"There is a user '{context.user_id}' already.")
    errors = creation_errors(command, context)
    if errors:
        return all_invalid(errors)
    return (
        UserCreated(
            user_id=context.user_id,
            email=context.profile.email,
            username=context.profile.username,
            full_name=context.profile.full_name,
            description=context.profile.description,
            domain=command.domain,
            role=command.role,
            status=command.status,
            resource_policy=command.resource_policy,
            password_change_required=command.password_change_required,
            sudo_session_enabled=command.sudo_session_enabled,
        ),
    )


def creation_errors(command: CreateUser, context: NewUser) -> tuple[FieldError, ...]:
    """Return what is wrong with a new user, field by field."""
    errors = list(profile_errors(command))
    if context.password_error is not None:
        errors.append(context.password_error)
    if not context.domain_exists:
        text = f"There is no domain '{command.domain[:64]}'."
        errors.append(FieldError("domain", "unknown_domain", text))
    errors.extend(_project_errors(command, context))
    if not context.policy_exists:
        text = f"There is no user policy '{command.resource_policy[:64]}'."
        errors.append(FieldError("resource_policy", "unknown_policy", text))
    return tuple(errors)


def _project_errors(command: CreateUser, context: NewUser) -> Iterator[FieldError]:
    if len(command.projects) > PROJECTS_MAX:
        text = f"A user is put into at most {PROJECTS_MAX} projects at once."
        yield FieldError("projects", "too_many", text)
        return
    for project_id in dict.fromkeys(command.projects):
        if context.projects.get(project_id) != command.domain:
            # One code for both: whether a project of another domain exists is not told.
            text = f"There is no project '{project_id[:64]}' in the domain."
            yield FieldError("projects", "unknown_project", text)
