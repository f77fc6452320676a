"""Who exists and what proves it, in memory: authentication never asks the database.

It is loaded from the read models before the projections run and then follows them, event by event,
after each commit.
"""

from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from shared.contracts.users import (
    KeypairIssued,
    KeypairStatus,
    LoginEnded,
    LoginStarted,
    Role,
    UserCreated,
    UserStatus,
)
from shared.eventlog.records import Recorded

_USERS: Final = "select id, role, status, domain, sudo_session_enabled, main_access_key from users"
_KEYPAIRS: Final = "select access_key, user_id, status, rate_limit from keypairs"
_LOGINS: Final = (
    "select id, user_id, token_hash, expires_at from logins join login_tokens on login_id = id"
    " where not is_over and expires_at > $1"
)


class KnownUser(msgspec.Struct):
    """What authentication needs of a user; nothing personal."""

    id: str
    role: Role
    status: UserStatus
    domain: str
    sudo_session_enabled: bool = False
    main_access_key: str | None = None


class KnownKeypair(msgspec.Struct):
    """What authentication needs of a keypair; its secret is elsewhere."""

    access_key: str
    user_id: str
    status: KeypairStatus
    rate_limit: int | None


class KnownLogin(msgspec.Struct):
    """A bearer token that is good until `expires_at`."""

    id: str
    user_id: str
    token_hash: str
    expires_at: datetime


class Directory:
    """Users by id, keypairs by access key, tokens by their hash."""

    def __init__(self) -> None:
        self.users: dict[str, KnownUser] = {}
        self.keypairs: dict[str, KnownKeypair] = {}
        self._logins: dict[str, KnownLogin] = {}
        self._hashes: dict[str, str] = {}

    async def load(self, pool: asyncpg.Pool, now: datetime) -> None:
        """Read everyone from the read models, in place of what was known."""
        users = await pool.fetch(_USERS)
        keypairs = await pool.fetch(_KEYPAIRS)
        logins = await pool.fetch(_LOGINS, now)
        self.users = {row["id"]: _user(row) for row in users}
        self.keypairs = {row["access_key"]: KnownKeypair(*row) for row in keypairs}
        self._logins, self._hashes = {}, {}
        for row in logins:
            self.admit(KnownLogin(*row))

    def admit(self, login: KnownLogin) -> None:
        """Accept a token from now on."""
        self._logins[login.token_hash] = login
        self._hashes[login.id] = login.token_hash

    def login(self, token_hash: str, now: datetime) -> KnownLogin | None:
        """Return the log-in session of a token that is good now."""
        found = self._logins.get(token_hash)
        if found is None or found.expires_at > now:
            return found
        self._drop(found.id)
        return None

    def forget_expired(self, now: datetime) -> None:
        """Drop tokens that are past their time; nobody may ever show them again."""
        for login in [item for item in self._logins.values() if item.expires_at <= now]:
            self._drop(login.id)

    def apply(self, recorded: Recorded) -> None:
        """Follow one event of the users service; others are of no interest here."""
        event = recorded.event
        if isinstance(event, UserCreated):
            known = self.users.get(event.user_id)
            main = known.main_access_key if known else None
            self.users[event.user_id] = KnownUser(
                event.user_id,
                event.role,
                event.status,
                event.domain,
                event.sudo_session_enabled,
                main,
            )
        elif isinstance(event, KeypairIssued):
            self.keypairs[event.access_key] = KnownKeypair(
                event.access_key, event.user_id, event.status, event.rate_limit
            )
            if event.is_main and event.user_id in self.users:
                self.users[event.user_id].main_access_key = event.access_key
        elif isinstance(event, LoginStarted):
            self.admit(
                KnownLogin(event.login_id, event.user_id, event.token_hash, event.expires_at)
            )
        elif isinstance(event, LoginEnded):
            self._drop(event.login_id)

    def _drop(self, login_id: str) -> None:
        token_hash = self._hashes.pop(login_id, None)
        if token_hash is not None:
            self._logins.pop(token_hash, None)


def _user(row: asyncpg.Record) -> KnownUser:
    return KnownUser(
        row["id"],
        row["role"],
        row["status"],
        row["domain"],
        row["sudo_session_enabled"],
        row["main_access_key"] or None,
    )
