"""A user: a person with a role in one domain."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from services.users.domain.profile import profile_errors
from services.users.domain.refusals import refused
from shared.contracts.base import Event, Sealed
from shared.contracts.users import (
    CreateUser,
    Role,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UsersEvent,
    UserStatus,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.kernel.rejections import FieldError, Rejection, conflict

PROJECTS_MAX = 100
_PROFILE = ("username", "full_name", "description")
_FLAGS = ("password_change_required", "sudo_session_enabled")


class User(msgspec.Struct, frozen=True):
    """What is known of a user; `user_id` is None before the user exists."""

    user_id: str | None = None
    domain: str = ""
    role: Role = "user"
    status: UserStatus = "inactive"
    resource_policy: str = "default"
    password_change_required: bool = False
    sudo_session_enabled: bool = False
    totp_enabled: bool = False
    is_erased: bool = False
    username: Sealed = ""
    full_name: Sealed = ""
    description: Sealed = ""


class SealedProfile(msgspec.Struct, frozen=True):
    """A person's texts, sealed under the person's key."""

    email: Sealed
    username: Sealed
    full_name: Sealed
    description: Sealed


class KnownProject(NamedTuple):
    """What must be known of a project that a user shall join."""

    domain: str
    is_active: bool = True


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a creation is decided on.

    `domain_active` is None when there is no such domain; `projects` holds those asked for that
    exist; `password_error` is what the password rule says.
    """

    user_id: str
    profile: SealedProfile
    domain_active: bool | None
    projects: Mapping[str, KnownProject]
    policy_exists: bool
    password_error: FieldError | None = None


INITIAL = User()


def evolve(state: User, event: Event) -> User:
    """Return the user after an event."""
    if isinstance(event, UserCreated):
        return User(
            user_id=event.user_id,
            domain=event.domain,
            role=event.role,
            status=event.status,
            resource_policy=event.resource_policy,
            password_change_required=event.password_change_required,
            sudo_session_enabled=event.sudo_session_enabled,
            username=event.username,
            full_name=event.full_name,
            description=event.description,
        )
    return msgspec.structs.replace(state, **_changes(event))


def _changes(event: Event) -> dict[str, Any]:
    match event:
        case UserActivated() | UserDeactivated():
            return {"status": "active" if isinstance(event, UserActivated) else "inactive"}
        case UserRoleChanged():
            return {"role": event.role}
        case UserPolicyAssigned():
            return {"resource_policy": event.resource_policy}
        case UserProfileChanged():
            return _given(event, _PROFILE)
        case UserFlagsChanged():
            return _given(event, _FLAGS)
        case UserTotpEnabled() | UserTotpDisabled():
            return {"totp_enabled": isinstance(event, UserTotpEnabled)}
        case UserErased():
            return {"is_erased": True, **dict.fromkeys(_PROFILE, "")}
    return {}


def decide(
    state: User, command: CreateUser, context: NewUser
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a user once; a refusal lists every field that breaks a rule."""
    if state.user_id is not None:
        return conflict("user_exists", f"There is a user '{context.user_id}' already.")
    errors = creation_errors(command, context)
    if errors:
        return refused(errors)
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
    if context.domain_active is None:
        text = f"There is no domain '{command.domain[:64]}'."
        errors.append(FieldError("domain", "unknown_domain", text))
    elif not context.domain_active:
        text = "The domain is not active: it takes no new users."
        errors.append(FieldError("domain", "domain_inactive", text))
    errors.extend(project_errors(command.projects, command.domain, context.projects))
    if not context.policy_exists:
        errors.append(unknown_policy(command.resource_policy))
    return tuple(errors)


def project_errors(
    projects: tuple[str, ...],
    domain: str,
    known: Mapping[str, KnownProject],
    present: frozenset[str] = frozenset(),
) -> Iterator[FieldError]:
    """Yield what is wrong with the projects of a user, who is in some of them at `present`."""
    if len(projects) > PROJECTS_MAX:
        text = f"A user is put into at most {PROJECTS_MAX} projects at once."
        yield FieldError("projects", "too_many", text)
        return
    for project_id in dict.fromkeys(projects):
        project = known.get(project_id)
        if project is None or project.domain != domain:
            # One code for both: whether a project of another domain exists is not told.
            text = f"There is no project '{project_id[:64]}' in the domain."
            yield FieldError("projects", "unknown_project", text)
        elif not project.is_active and project_id not in present:
            text = f"The project '{project_id}' is not active: it takes no new members."
            yield FieldError("projects", "project_inactive", text)


def unknown_policy(name: object) -> FieldError:
    """Return what is wrong with a user policy that does not exist."""
    text = f"There is no user policy '{str(name)[:64]}'."
    return FieldError("resource_policy", "unknown_policy", text)


def _given(event: UserProfileChanged | UserFlagsChanged, fields: tuple[str, ...]) -> dict[str, Any]:
    values = {field: getattr(event, field) for field in fields}
    return {field: value for field, value in values.items() if value is not UNSET}
