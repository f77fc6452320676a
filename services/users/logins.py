"""LogIn and LogOut: bearer tokens, of which only hashes are kept."""

import math
from datetime import timedelta
from functools import partial, reduce
from typing import Final

import asyncpg
import msgspec

from services.users.attempts import FailedLogins
from services.users.creation import SERVICE, malformed_password
from services.users.domain import login, user
from services.users.domain.login import StartLogin, invalid_credentials
from services.users.domain.profile import normal_email
from services.users.vault import EMAIL, Vault
from shared.contracts.base import Accepted, Actor
from shared.contracts.users import LogIn, LogOut
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider, execute
from shared.eventlog.log import EventLog
from shared.eventlog.records import DoneCommand, Write
from shared.kernel.clock import Clock, render_time
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher, Verdict
from shared.security.sealing import Keyring, SealBroken
from shared.security.tokens import new_token, token_hash
from shared.security.transport import open_password, seal_token

LOGIN: Final = Decider(login.INITIAL, login.evolve, login.decide)
logger = get_logger(__name__)


class Logins:
    """Handles LogIn and LogOut."""

    def __init__(
        self,
        log: EventLog,
        keyring: Keyring,
        hasher: PasswordHasher,
        clock: Clock,
        *,
        lifetime_s: int,
    ) -> None:
        self._log = log
        self._keyring = keyring
        self._hasher = hasher
        self._clock = clock
        self._lifetime = timedelta(seconds=lifetime_s)
        self._vault = Vault(log.pool, keyring)
        self._failed = FailedLogins(clock)

    async def log_in(self, command: LogIn, context: CommandContext) -> Outcome:
        """Check a password and issue a token.

        An unknown address, an inactive user and a wrong password get the same answer, after the
        same work.
        """
        fingerprint = self._keyring.fingerprint(EMAIL, normal_email(command.email))
        locked_s = self._failed.locked_for_s(fingerprint)
        if locked_s > 0:
            return _locked(locked_s)
        try:
            password = open_password(self._keyring, command.sealed_password)
        except SealBroken:
            return malformed_password()
        found = await self._vault.credentials_of(fingerprint)
        person = await self._user(found.user_id)
        remaining_s = context.remaining_s(self._clock.now())
        verdict = await self._hasher.verify(found.encoded_hash, password, wait_s=remaining_s)
        if isinstance(verdict, Rejection):
            return verdict
        if not verdict.matches:
            self._failed.add(fingerprint)
            logger.info("login_refused", reason="credentials", user_id=found.user_id)
            return invalid_credentials()
        self._failed.clear(fingerprint)
        return await self._start(person, password, verdict, context)

    async def log_out(self, command: LogOut, context: CommandContext) -> Outcome:
        """End a session of its user; ending it again changes nothing."""
        stream = stream_name("login", command.login_id)
        outcome = await execute(
            self._log, LOGIN, stream, command, None, context.meta, key=context.idempotency
        )
        if isinstance(outcome, Rejection):
            return outcome
        if isinstance(outcome, DoneCommand):
            return Accepted(service=SERVICE, position=outcome.position, result=outcome.result)
        return Accepted(service=SERVICE, position=outcome.last)

    async def _user(self, user_id: str | None) -> user.User:
        stream = await self._log.load(stream_name("user", user_id or "nobody"))
        return reduce(user.evolve, stream.events, user.INITIAL)

    async def _start(
        self, person: user.User, password: str, verdict: Verdict, context: CommandContext
    ) -> Outcome:
        login_id, token = new_id(), new_token()
        expires_at = self._clock.now() + self._lifetime
        wish = StartLogin(login_id=login_id, token_hash=token_hash(token), expires_at=expires_at)
        decided = login.decide(login.INITIAL, wish, person)
        if isinstance(decided, Rejection) or person.user_id is None:
            outcome = decided if isinstance(decided, Rejection) else invalid_credentials()
            logger.info("login_refused", reason=outcome.code, user_id=person.user_id)
            return outcome
        meta = msgspec.structs.replace(context.meta, actor=Actor(kind="user", id=person.user_id))
        renewed = await self._hasher.hash(password) if verdict.outdated else None
        appended = await self._log.append(
            [Write(stream_name("login", login_id), 0, decided)],
            meta,
            within=(
                partial(self._renew, person.user_id, renewed) if isinstance(renewed, str) else None
            ),
        )
        logger.info("login_started", user_id=person.user_id, login_id=login_id)
        return Accepted(
            service=SERVICE,
            position=appended.last,
            result={
                "user_id": person.user_id,
                "login_id": login_id,
                "sealed_token": seal_token(self._keyring, login_id, token),
                "expires_at": render_time(expires_at),
            },
        )

    async def _renew(self, user_id: str, encoded_hash: str, connection: asyncpg.Connection) -> None:
        await self._vault.put_password(connection, user_id, encoded_hash)


def _locked(locked_s: float) -> Rejection:
    return Rejection(
        kind="rate_limited",
        code="login_locked",
        message="Too many wrong passwords; try again later.",
        retry_after_s=math.ceil(locked_s),
    )
