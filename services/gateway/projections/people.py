"""Users and their log-in sessions as documents: pure folds of the users service's events."""

from datetime import datetime
from typing import Final

from msgspec import UNSET, UnsetType

from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.users import UserDocument
from services.gateway.projections.tables import Column, DocumentTable, times
from services.gateway.projections.versions import VersionedTable
from shared.contracts.base import Event, Sealed
from shared.contracts.users import (
    LoginEnded,
    LoginStarted,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserLoginBlocked,
    UserMainKeypairSwitched,
    UserPasswordSet,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.security.persons import PersonKey, open_text

USER_KINDS: Final = (
    "domain",
    "role",
    "status",
    "resource_policy",
    "password_change_required",
    "sudo_session_enabled",
    "totp_enabled",
    "erased",
)


def blank(user: UserDocument) -> None:
    """Say nothing of a person any more, but that there was one."""
    user.email = user.username = user.full_name = user.description = None
    user.erased = True


USERS: Final = VersionedTable(
    "users",
    UserDocument,
    (
        Column("email", "text", lambda user: user.email or ""),
        Column("username", "text", lambda user: user.username or ""),
        Column("full_name", "text", lambda user: user.full_name or ""),
        Column("description", "text", lambda user: user.description or ""),
        Column("domain", "text", lambda user: user.domain),
        Column("role", "text", lambda user: user.role),
        Column("status", "text", lambda user: user.status),
        Column("resource_policy", "text", lambda user: user.resource_policy),
        Column("password_change_required", "boolean", lambda user: user.password_change_required),
        Column("sudo_session_enabled", "boolean", lambda user: user.sudo_session_enabled),
        Column("totp_enabled", "boolean", lambda user: user.totp_enabled),
        Column("main_access_key", "text", lambda user: user.main_access_key or ""),
        Column("last_login_at", "timestamptz", lambda user: user.last_login_at),
        Column("erased", "boolean", lambda user: user.erased),
        *times(),
    ),
    volatile={"last_login_at": None},
    blank=blank,
    searched=lambda user: (
        user.email or "",
        user.username or "",
        user.full_name or "",
        user.description or "",
    ),
    tallied=USER_KINDS,
)
LOGINS: Final = DocumentTable(
    "logins",
    LoginDocument,
    (
        Column("user_id", "text", lambda login: login.user_id),
        Column("expires_at", "timestamptz", lambda login: login.expires_at),
        Column("is_over", "boolean", lambda login: login.ended_at is not None),
        *times(),
    ),
)


def user_created(event: UserCreated, key: PersonKey | None, at: datetime) -> UserDocument:
    """Return a new user's document; without a key the person has been erased, and it says so."""
    return UserDocument(
        id=event.user_id,
        email=_opened(key, "email", event.email),
        username=_opened(key, "username", event.username),
        full_name=_opened(key, "full_name", event.full_name),
        description=_opened(key, "description", event.description),
        domain=event.domain,
        role=event.role,
        status=event.status,
        resource_policy=event.resource_policy,
        password_change_required=event.password_change_required,
        sudo_session_enabled=event.sudo_session_enabled,
        erased=key is None,
        created_at=at,
        modified_at=at,
    )


def user_changed(user: UserDocument, event: Event, key: PersonKey | None, at: datetime) -> None:
    """Fold what happened to a user; `key` is needed for new names only, None when erased."""
    match event:
        case UserProfileChanged():
            _rename(user, event, key)
        case UserFlagsChanged():
            required, sudo = event.password_change_required, event.sudo_session_enabled
            user.password_change_required = _given(required, user.password_change_required)
            user.sudo_session_enabled = _given(sudo, user.sudo_session_enabled)
        case UserPasswordSet():
            user.login_blocked_until = None
        case UserErased():
            _erase(user)
        case UserLoginBlocked():
            user.login_blocked_until = event.until
            return  # somebody else may have tried: nothing about the user is different
        case _:
            if not _set_one(user, event):
                return
    user.modified_at = at


def _set_one(user: UserDocument, event: Event) -> bool:
    """Fold an event that is about one member of the document; False for any other."""
    match event:
        case UserActivated():
            user.status = "active"
        case UserDeactivated():
            user.status = "inactive"
        case UserRoleChanged():
            user.role = event.role
        case UserPolicyAssigned():
            user.resource_policy = event.resource_policy
        case UserMainKeypairSwitched():
            user.main_access_key = event.access_key
        case UserTotpEnabled() | UserTotpDisabled():
            user.totp_enabled = isinstance(event, UserTotpEnabled)
        case _:
            return False
    return True


def logged_in(user: UserDocument, at: datetime) -> None:
    """Fold that a user has logged in."""
    user.last_login_at = at
    user.login_blocked_until = None


def joined(user: UserDocument, project_id: str, at: datetime) -> None:
    """Fold that a user is a member of one more project."""
    if project_id not in user.projects:
        user.projects.append(project_id)
        user.modified_at = at


def left(user: UserDocument, project_id: str, at: datetime) -> None:
    """Fold that a user is no longer a member of a project."""
    if project_id in user.projects:
        user.projects.remove(project_id)
        user.modified_at = at


def login_started(event: LoginStarted, client_address: str | None, at: datetime) -> LoginDocument:
    """Return a new log-in session's document."""
    return LoginDocument(
        id=event.login_id,
        user_id=event.user_id,
        expires_at=event.expires_at,
        client_address=client_address,
        created_at=at,
        modified_at=at,
    )


def login_ended(login: LoginDocument, event: LoginEnded, at: datetime) -> None:
    """Mark a log-in session as over."""
    login.ended_at = at
    login.end_reason = event.reason
    login.modified_at = at


def _opened(key: PersonKey | None, field: str, sealed: Sealed) -> str | None:
    return None if key is None else open_text(key, field, sealed)


def _rename(user: UserDocument, event: UserProfileChanged, key: PersonKey | None) -> None:
    if isinstance(event.username, str):
        user.username = _opened(key, "username", event.username)
    if isinstance(event.full_name, str):
        user.full_name = _opened(key, "full_name", event.full_name)
    if isinstance(event.description, str):
        user.description = _opened(key, "description", event.description)


def _given(value: bool | UnsetType, before: bool) -> bool:  # noqa: FBT001  # both are values
    return before if value is UNSET else bool(value)


def _erase(user: UserDocument) -> None:
    blank(user)
    user.totp_enabled = False
    user.login_blocked_until = None
