"""Users, keypairs and log-in sessions as documents: pure folds of the users service's events."""

from datetime import datetime
from typing import Final

from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.users import UserDocument
from services.gateway.projections.tables import Column, DocumentTable, times
from shared.contracts.base import Sealed
from shared.contracts.users import KeypairIssued, LoginEnded, LoginStarted, UserCreated
from shared.security.persons import PersonKey, open_text

USERS: Final = DocumentTable(
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
        *times(),
    ),
)
KEYPAIRS: Final = DocumentTable(
    "keypairs",
    KeypairDocument,
    (
        Column("access_key", "text", lambda keypair: keypair.access_key),
        Column("user_id", "text", lambda keypair: keypair.user_id),
        Column("domain", "text", lambda keypair: keypair.domain),
        Column("status", "text", lambda keypair: keypair.status),
        Column("resource_policy", "text", lambda keypair: keypair.resource_policy),
        Column("rate_limit", "bigint", lambda keypair: keypair.rate_limit),
        Column("is_main", "boolean", lambda keypair: keypair.is_main),
        *times(),
    ),
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

    def opened(field: str, sealed: Sealed) -> str | None:
        return None if key is None else open_text(key, field, sealed)

    return UserDocument(
        id=event.user_id,
        email=opened("email", event.email),
        username=opened("username", event.username),
        full_name=opened("full_name", event.full_name),
        description=opened("description", event.description),
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


def keypair_issued(event: KeypairIssued, domain: str, at: datetime) -> KeypairDocument:
    """Return a new keypair's document; its domain is its user's."""
    return KeypairDocument(
        id=event.access_key,
        access_key=event.access_key,
        user_id=event.user_id,
        domain=domain,
        status=event.status,
        resource_policy=event.resource_policy,
        rate_limit=event.rate_limit,
        is_main=event.is_main,
        created_at=at,
        modified_at=at,
    )


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
