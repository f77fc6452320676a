"""ChangeUser: all that is given of a user, in one transaction.

A change is decided on the user's events and on rows of the index. The rows are read again in the
transaction that appends, locked: when they are not what was decided on, it is decided again.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import asyncpg
from msgspec import UNSET

from services.users import directory, live_logins
from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.assignments import hold_assigned, is_assignable
from services.users.attempts import lift
from services.users.creation import malformed_password, taken
from services.users.directory import Connection, Surroundings
from services.users.domain import user, user_change
from services.users.domain.profile import normal_username
from services.users.domain.user import PROJECTS_MAX, User
from services.users.domain.user_change import TEXTS, Facts
from services.users.indexing import index
from services.users.known_policies import KnownPolicies
from services.users.seeds import Seeds
from services.users.vault import USERNAME, Vault
from shared.contracts.base import Accepted, Event
from shared.contracts.users import (
    ChangeUser,
    UserProfileChanged,
    UserTotpDisabled,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Claim, Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher
from shared.security.persons import PersonKey, open_text, seal_text
from shared.security.rules import check_password
from shared.security.sealing import Keyring, SealBroken
from shared.security.transport import open_password

USER: Final = Decider(user.INITIAL, user.evolve, user_change.decide)
logger = get_logger(__name__)


class _Rows(NamedTuple):
    """What the index says; equal when nothing has changed that the decision rests on."""

    surroundings: Surroundings
    present: tuple[str, ...]
    others_in_charge: bool
    policy_exists: bool = True


NOTHING_ASKED: Final = _Rows(
    Surroundings(domain_active=True, projects={}, stores=()), present=(), others_in_charge=True
)


class UserChanges:
    """Handles ChangeUser."""

    def __init__(
        self,
        log: EventLog,
        keyring: Keyring,
        hasher: PasswordHasher,
        policies: KnownPolicies,
        clock: Clock,
    ) -> None:
        self.log = log
        self.keyring = keyring
        self.hasher = hasher
        self.policies = policies
        self.clock = clock
        self.vault = Vault(log.pool, keyring)
        self.seeds = Seeds(log.pool, keyring)

    async def change(self, command: ChangeUser, context: CommandContext) -> Outcome:
        """Change the user, or refuse with every field that breaks a rule, or with a conflict."""
        if command.resource_policy is not UNSET and (unknown := self.policies.unknown()):
            return unknown
        try:
            password = (
                None
                if command.sealed_password is UNSET
                else open_password(self.keyring, command.sealed_password)
            )
        except SealBroken:
            return malformed_password()
        change = _Change(self, command, context, password)
        return await answer_once(self.log, context.idempotency, change.carry_out)


class _Change:
    """One change, decided again as often as others are faster."""

    def __init__(
        self,
        parts: UserChanges,
        command: ChangeUser,
        context: CommandContext,
        password: str | None,
    ) -> None:
        self._parts = parts
        self._command = command
        self._context = context
        self._password = password
        self._encoded: str | None = None
        self._logins: tuple[str, ...] = ()

    async def carry_out(self) -> Outcome:
        """Decide and append; raises StreamConflict when it has to be decided again."""
        command, log = self._command, self._parts.log
        loaded = await log.load(stream_name("user", command.user_id))
        state = USER.fold(loaded.events)
        with reaching_postgres():
            rows = await self._rows(log.pool, state)
            key = await self._key(state)
        facts = self._facts(state, rows, key)
        decided = USER.decide(state, command, facts)
        if isinstance(decided, Rejection):
            return decided
        refusal = await self._prepare_password()
        if refusal is not None:
            return refusal
        writes = self._writes(decided, loaded.version)
        releases, claims = self._names(decided, facts)
        try:
            appended = await log.append(
                writes,
                self._context.meta,
                claims=claims,
                releases=releases,
                command=self._context.idempotency,
                within=partial(self._store, state, rows, decided, writes) if writes else None,
            )
        except ClaimTaken as refused:
            return taken(refused.kind)
        logger.info("user_changed", user_id=command.user_id, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last)

    async def _rows(self, connection: Connection, state: User, *, lock: bool = False) -> _Rows:
        command, rows = self._command, NOTHING_ASKED
        if state.user_id is None:
            return rows
        if command.projects is not UNSET:
            asked = command.projects[: PROJECTS_MAX + 1]
            around = await directory.surroundings(connection, state.domain, asked, lock=lock)
            rows = rows._replace(surroundings=around)
        if user_change.is_in_charge(state) and (command.role, command.status) != (UNSET, UNSET):
            others = await directory.others_in_charge(connection, state.user_id, lock=lock)
            rows = rows._replace(others_in_charge=others)
        elif lock:
            await directory.lock_account(connection, state.user_id)
        if command.projects is not UNSET:
            present = await directory.memberships_of(connection, state.user_id)
            rows = rows._replace(present=present)
        if (policy := command.resource_policy) is not UNSET:
            exists = await is_assignable(connection, self._parts.policies, "user", policy)
            rows = rows._replace(policy_exists=exists)
        return rows

    async def _key(self, state: User) -> PersonKey | None:
        if state.user_id is None or state.is_erased or not self._texts():
            return None
        key = await self._parts.vault.person_key(state.user_id)
        if key is None:  # erased since the user was loaded
            raise FactsChanged(state.user_id)
        return key

    def _texts(self) -> dict[str, str]:
        given = {field: getattr(self._command, field) for field in TEXTS}
        return {field: text for field, text in given.items() if text is not UNSET}

    def _facts(self, state: User, rows: _Rows, key: PersonKey | None) -> Facts:
        command, actor = self._command, self._context.meta.actor
        given = self._texts()
        return Facts(
            is_own=actor.kind == "user" and actor.id == command.user_id,
            texts={field: open_text(key, field, getattr(state, field)) for field in given}
            if key
            else {},
            sealed={field: seal_text(key, field, text) for field, text in given.items()}
            if key
            else {},
            policy_exists=rows.policy_exists,
            password_error=None if self._password is None else check_password(self._password),
            others_in_charge=rows.others_in_charge,
            domain_active=bool(rows.surroundings.domain_active),
            projects=rows.surroundings.projects,
            stores=rows.surroundings.stores,
            present=rows.present,
        )

    async def _prepare_password(self) -> Rejection | None:
        if self._password is None:
            return None
        if self._encoded is None:
            remaining_s = self._context.remaining_s(self._parts.clock.now())
            encoded = await self._parts.hasher.hash(self._password, wait_s=remaining_s)
            if isinstance(encoded, Rejection):
                return encoded
            self._encoded = encoded
        self._logins = await live_logins.live_logins(
            self._parts.log.pool, self._command.user_id, self._parts.clock.now()
        )
        return None

    def _writes(self, events: Sequence[Event], version: int) -> list[Write]:
        """Lay out the events by stream; the user's own is held to the version decided on."""
        own = stream_name("user", self._command.user_id)
        by_stream: dict[str, list[Event]] = {own: []} if events else {}
        for event in events:
            by_stream.setdefault(stream_name(event.AGGREGATE, event.key()), []).append(event)
        writes = [
            Write(stream, version if stream == own else None, of_stream)
            for stream, of_stream in by_stream.items()
        ]
        return writes + live_logins.endings(self._command.user_id, self._logins, "password_changed")

    def _names(self, events: Sequence[Event], facts: Facts) -> tuple[list[Claim], list[Claim]]:
        """Return the names to release and to claim."""
        username = self._command.username
        renamed = any(isinstance(e, UserProfileChanged) and e.username is not UNSET for e in events)
        if username is UNSET or not renamed:
            return [], []
        old, new = (
            self._parts.keyring.fingerprint(USERNAME, normal_username(name))
            for name in (facts.texts["username"], username)
        )
        user_id = self._command.user_id
        if old == new:
            return [], []
        return [Claim(USERNAME, old, user_id)], [Claim(USERNAME, new, user_id)]

    async def _store(
        self,
        state: User,
        rows: _Rows,
        events: Sequence[Event],
        writes: Sequence[Write],
        connection: asyncpg.Connection,
    ) -> None:
        user_id = self._command.user_id
        if await self._rows(connection, state, lock=True) != rows:
            raise FactsChanged(user_id)
        await hold_assigned(connection, self._parts.policies, writes)
        if self._encoded is not None:
            now = self._parts.clock.now()
            await live_logins.hold(connection, user_id, self._logins, now)
            await self._parts.vault.put_password(connection, user_id, self._encoded)
            await lift(connection, user_id)
        if any(isinstance(event, UserTotpDisabled) for event in events):
            await self._parts.seeds.drop(connection, user_id)
        await index(connection, writes)
