"""Who exists and what proves it, in memory: authentication never asks the database.

It is loaded from the read models before the projections run and then follows them, event by event,
after each commit. What this gateway was just told by the users service it takes in at once
(`foresee`), so a revocation holds for the next request here however far behind the tables are.
"""

from datetime import datetime
from typing import Final

import asyncpg
import msgspec
from msgspec import UNSET

from shared.contracts.base import Event
from shared.contracts.users import (
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairRateLimitSet,
    KeypairStatus,
    LoginEnded,
    LoginStarted,
    Role,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserMainKeypairSwitched,
    UserRoleChanged,
    UserStatus,
)
from shared.eventlog.records import Recorded

SOURCE: Final = "users"
_USERS: Final = "select id, role, status, domain, sudo_session_enabled, main_access_key from users"
_KEYPAIRS: Final = "select access_key, user_id, status, rate_limit from keypairs"
_LOGINS: Final = (
    "select id, user_id, token_hash, expires_at from login_tokens join logins on id = login_id"
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
        self._position = 0
        self._foreseen: list[tuple[int, Event]] = []
        self._meanwhile: list[Event] | None = None

    async def load(self, pool: asyncpg.Pool, now: datetime) -> None:
        """Read everyone from the read models, in place of what was known.

        What arrives while it reads is taken in again on top: an event says what is, not what is
        different, so one that the tables showed already does no harm.
        """
        meanwhile: list[Event] = []
        self._meanwhile = meanwhile
        try:
            # one by one: a change-over of the read models waits for no more than one of them
            users = await pool.fetch(_USERS)
            keypairs = await pool.fetch(_KEYPAIRS)
            logins = await pool.fetch(_LOGINS, now)
        finally:
            self._meanwhile = None
        self.users = {row["id"]: _user(row) for row in users}
        self.keypairs = {row["access_key"]: KnownKeypair(*row) for row in keypairs}
        self._logins, self._hashes = {}, {}
        for row in logins:
            self.admit(KnownLogin(*row))
        for event in meanwhile:
            self._follow(event)
        self._hold()

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
        self._position = max(self._position, recorded.position)
        if self._meanwhile is not None:
            self._meanwhile.append(recorded.event)
        self._follow(recorded.event)
        if self._foreseen:
            self._foreseen = [item for item in self._foreseen if item[0] > self._position]
            self._hold()

    def foresee(self, position: int, event: Event) -> None:
        """Take in what the users service has accepted at `position`, unless it was followed.

        It holds until the events have come so far, whatever older ones say until then.
        """
        if position > self._position:
            self._foreseen.append((position, event))
            self._follow(event)

    def _hold(self) -> None:
        for _, event in self._foreseen:
            self._follow(event)

    def _follow(self, event: Event) -> None:
        match event:
            case LoginStarted():
                self.admit(
                    KnownLogin(event.login_id, event.user_id, event.token_hash, event.expires_at)
                )
            case LoginEnded():
                self._drop(event.login_id)
            case KeypairIssued():
                self._issued(event)
            case KeypairActivated() | KeypairDeactivated() | KeypairRateLimitSet():
                self._keypair(event)
            case KeypairDeleted():
                self.keypairs.pop(event.access_key, None)
            case UserCreated():
                self._created(event)
            case _:
                self._user(event)

    def _created(self, event: UserCreated) -> None:
        known = self.users.get(event.user_id)
        self.users[event.user_id] = KnownUser(
            event.user_id,
            event.role,
            event.status,
            event.domain,
            event.sudo_session_enabled,
            known.main_access_key if known else None,
        )

    def _issued(self, event: KeypairIssued) -> None:
        self.keypairs[event.access_key] = KnownKeypair(
            event.access_key, event.user_id, event.status, event.rate_limit
        )
        if event.is_main and event.user_id in self.users:
            self.users[event.user_id].main_access_key = event.access_key

    def _keypair(self, event: KeypairActivated | KeypairDeactivated | KeypairRateLimitSet) -> None:
        keypair = self.keypairs.get(event.access_key)
        if keypair is None:
            return
        if isinstance(event, KeypairRateLimitSet):
            keypair.rate_limit = event.rate_limit
        else:
            keypair.status = "active" if isinstance(event, KeypairActivated) else "inactive"

    def _user(self, event: Event) -> None:
        user = self.users.get(getattr(event, "user_id", ""))
        if user is None:
            return
        match event:
            case UserActivated():
                user.status = "active"
            case UserDeactivated() | UserErased():
                user.status = "inactive"
            case UserRoleChanged():
                user.role = event.role
            case UserMainKeypairSwitched():
                user.main_access_key = event.access_key
            case UserFlagsChanged() if event.sudo_session_enabled is not UNSET:
                user.sudo_session_enabled = event.sudo_session_enabled

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
