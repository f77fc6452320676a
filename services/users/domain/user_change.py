"""What may be changed about a user, and by whom not: all that is given, or nothing."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import UNSET

from services.users.domain.profile import text_errors
from services.users.domain.refusals import erased, last_superadmin, own_account, refused
from services.users.domain.user import KnownProject, User, project_errors, unknown_policy
from shared.contracts.base import Sealed
from shared.contracts.users import (
    ChangeUser,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    UserActivated,
    UserDeactivated,
    UserFlagsChanged,
    UserPasswordSet,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UsersEvent,
    UserStatus,
    UserTotpDisabled,
)
from shared.kernel.changes import differing
from shared.kernel.rejections import FieldError, Rejection, not_found

TEXTS: Final = ("username", "full_name", "description")
FLAGS: Final = ("password_change_required", "sudo_session_enabled")
TRANSITIONS: Final[Mapping[UserStatus, frozenset[UserStatus]]] = {
    "before_verification": frozenset({"active", "inactive"}),
    "active": frozenset({"inactive"}),
    "inactive": frozenset({"active"}),
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is decided on beside the user's own events.

    `is_own` says that the actor is the user. `texts` are the texts as they are, `sealed` those
    given, sealed under the person's key. `projects` holds the projects asked for that exist,
    `present` those that the user is in, `stores` the model-store projects of the domain.
    `others_in_charge` tells whether there is another active superadmin.
    """

    is_own: bool = False
    texts: Mapping[str, str] = {}
    sealed: Mapping[str, Sealed] = {}
    policy_exists: bool = True
    password_error: FieldError | None = None
    others_in_charge: bool = True
    domain_active: bool = True
    projects: Mapping[str, KnownProject] = {}
    present: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


def decide(state: User, command: ChangeUser, facts: Facts) -> tuple[UsersEvent, ...] | Rejection:
    """Change what is given and different; a refusal lists every field that breaks a rule."""
    if state.user_id is None:
        return not_found("user", command.user_id[:64])
    if state.is_erased:
        return erased()
    loses_charge = _loses_charge(state, command)
    if facts.is_own and (refusal := _own_refusal(state, command)) is not None:
        return refusal
    errors = tuple(_errors(state, command, facts))
    if errors:
        return refused(errors)
    if loses_charge and not facts.others_in_charge:
        return last_superadmin()
    return tuple(_events(state, state.user_id, command, facts))


def is_in_charge(state: User) -> bool:
    """Tell whether a user is an active superadmin."""
    return state.role == "superadmin" and state.status == "active" and not state.is_erased


def _loses_charge(state: User, command: ChangeUser) -> bool:
    if not is_in_charge(state):
        return False
    return _differs(command.role, "superadmin") or _differs(command.status, "active")


def _differs(wished: object, present: object) -> bool:
    return wished is not UNSET and wished != present


def _own_refusal(state: User, command: ChangeUser) -> Rejection | None:
    if _differs(command.status, state.status):
        return own_account("Nobody changes the status of the own account; ask another superadmin.")
    if _differs(command.role, state.role):
        return own_account("Nobody changes the own role; ask another superadmin.")
    return None


def _errors(state: User, command: ChangeUser, facts: Facts) -> Iterator[FieldError]:
    yield from text_errors(command)
    if facts.password_error is not None:
        yield facts.password_error
    if command.status is not UNSET and command.status != state.status:
        allowed = TRANSITIONS[state.status]
        if command.status not in allowed:
            text = f"A user goes from {state.status} only to {' or '.join(sorted(allowed))}."
            yield FieldError("status", "status_transition", text)
    if command.totp_enabled is True and not state.totp_enabled:
        text = "One-time passwords are switched on by the user alone, who shows a code."
        yield FieldError("totp_enabled", "totp_only_off", text)
    if not facts.policy_exists:
        yield unknown_policy(command.resource_policy)
    if command.projects is not UNSET:
        yield from _project_errors(state, command.projects, facts)


def _project_errors(state: User, projects: tuple[str, ...], facts: Facts) -> Iterator[FieldError]:
    yield from project_errors(projects, state.domain, facts.projects, frozenset(facts.present))
    if not facts.domain_active and set(projects) - set(facts.present):
        text = "The domain is not active: nobody new enters its projects."
        yield FieldError("projects", "domain_inactive", text)


def _events(state: User, user_id: str, command: ChangeUser, facts: Facts) -> Iterator[UsersEvent]:
    texts = {
        field: facts.sealed[field]
        for field in TEXTS
        if _differs(getattr(command, field), facts.texts.get(field))
    }
    if texts:
        yield UserProfileChanged(user_id=user_id, **texts)
    if command.sealed_password is not UNSET:
        yield UserPasswordSet(user_id=user_id, by="administrator")
    flags = differing(state, command, *FLAGS)
    if flags:
        yield UserFlagsChanged(user_id=user_id, **flags)
    yield from _rank_events(state, user_id, command)
    if command.projects is not UNSET:
        yield from _moves(user_id, command.projects, facts)


def _rank_events(state: User, user_id: str, command: ChangeUser) -> Iterator[UsersEvent]:
    if command.resource_policy is not UNSET and command.resource_policy != state.resource_policy:
        yield UserPolicyAssigned(user_id=user_id, resource_policy=command.resource_policy)
    if command.role is not UNSET and command.role != state.role:
        yield UserRoleChanged(user_id=user_id, role=command.role)
    if command.totp_enabled is False and state.totp_enabled:
        yield UserTotpDisabled(user_id=user_id, by="administrator")
    if _differs(command.status, state.status):
        active = command.status == "active"
        yield UserActivated(user_id=user_id) if active else UserDeactivated(user_id=user_id)


def _moves(user_id: str, projects: tuple[str, ...], facts: Facts) -> Iterator[UsersEvent]:
    wanted = {*projects, *facts.stores}
    for project_id in sorted(wanted - set(facts.present)):
        yield ProjectMemberAdded(project_id=project_id, user_id=user_id)
    for project_id in sorted(set(facts.present) - wanted):
        yield ProjectMemberRemoved(project_id=project_id, user_id=user_id)
