"""LogIn and LogOut: bearer tokens, of which only hashes are kept."""

from datetime import timedelta
from functools import partial, reduce
from typing import Final, NamedTuple

import asyncpg
import msgspec

from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.attempts import FailedLogins
from services.users.creation import malformed_password
from services.users.domain import login, user
from services.users.domain.login import Code, StartLogin, Visitor, is_wrong_guess
from services.users.domain.profile import normal_email
from services.users.indexing import index
from services.users.live_logins import forget_expired
from services.users.seeds import Seeds
from services.users.vault import EMAIL, Credentials, Vault
from shared.contracts.base import Accepted, Actor
from shared.contracts.users import LogIn, LogOut
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.records import Write
from shared.kernel.clock import Clock, render_time
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher, Verdict
from shared.security.sealing import Keyring, SealBroken
from shared.security.tokens import new_token, token_hash
from shared.security.totp import matching_step
from shared.security.transport import open_password, seal_token

OTP_MAX: Final = 64
logger = get_logger(__name__)


class _Entry(NamedTuple):
    """What a log-in was decided on and leaves behind when it works."""

    known: Credentials
    writes: list[Write]
    renewed: str | None
    code: "_Matched"


class _Matched(NamedTuple):
    """What there is to say of a one-time password; a right one belongs to a step of a seed."""

    code: Code
    seed_id: str = ""
    step: int = -1


NOT_NEEDED: Final = _Matched("not_needed")


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
        self._seeds = Seeds(log.pool, keyring)
        self._failed = FailedLogins(log, clock)

    async def log_in(self, command: LogIn, context: CommandContext) -> Outcome:
        """Check a password and, where there is one, a one-time password, and issue a token.

        An unknown address, an inactive user and a wrong password get the same answer, after the
        same work; about a one-time password only the right password learns anything.
        """
        try:
            password = open_password(self._keyring, command.sealed_password)
        except SealBroken:
            return malformed_password()
        return await answer_once(self._log, None, partial(self._log_in, command, password, context))

    async def log_out(self, command: LogOut, context: CommandContext) -> Outcome:
        """End a session of its user; ending it again changes nothing."""
        return await answer_once(
            self._log, context.idempotency, partial(self._log_out, command, context)
        )

    async def _log_in(self, command: LogIn, password: str, context: CommandContext) -> Outcome:
        fingerprint = self._keyring.fingerprint(EMAIL, normal_email(command.email))
        locked = await self._failed.refusal(fingerprint)
        if locked is not None:
            return locked
        known = await self._vault.credentials_of(fingerprint)
        remaining_s = context.remaining_s(self._clock.now())
        verdict = await self._hasher.verify(known.encoded_hash, password, wait_s=remaining_s)
        if isinstance(verdict, Rejection):
            return verdict
        person = await self._user(known.user_id)
        matched = await self._match(command, known) if verdict.matches else NOT_NEEDED
        visitor = Visitor(user=person, password_is_right=verdict.matches, code=matched.code)
        login_id, token = new_id(), new_token()
        wish = StartLogin(
            login_id=login_id,
            token_hash=token_hash(token),
            expires_at=self._clock.now() + self._lifetime,
        )
        decided = login.decide(login.INITIAL, wish, visitor)
        if isinstance(decided, Rejection):
            logger.info("login_refused", reason=decided.code, user_id=known.user_id)
            if is_wrong_guess(decided):
                return await self._failed.add(fingerprint, known.user_id, context.meta) or decided
            return decided
        writes = [Write(stream_name("login", login_id), 0, decided)]
        renewed = await self._renewed(password, verdict)
        position = await self._start(_Entry(known, writes, renewed, matched), context)
        logger.info("login_started", user_id=known.user_id, login_id=login_id)
        return Accepted(
            service=SERVICE,
            position=position,
            result={
                "user_id": known.user_id,
                "login_id": login_id,
                "sealed_token": seal_token(self._keyring, login_id, token),
                "expires_at": render_time(wish.expires_at),
            },
        )

    async def _log_out(self, command: LogOut, context: CommandContext) -> Outcome:
        stream = await self._log.load(stream_name("login", command.login_id))
        state = reduce(login.evolve, stream.events, login.INITIAL)
        decided = login.decide(state, command)
        if isinstance(decided, Rejection):
            return decided
        writes = [Write(stream.name, stream.version, decided)] if decided else []
        appended = await self._log.append(
            writes, context.meta, command=context.idempotency, within=partial(index, writes=writes)
        )
        return Accepted(service=SERVICE, position=appended.last)

    async def _user(self, user_id: str | None) -> user.User:
        stream = await self._log.load(stream_name("user", user_id or "nobody"))
        return reduce(user.evolve, stream.events, user.INITIAL)

    async def _match(self, command: LogIn, known: Credentials) -> _Matched:
        seed = await self._seeds.of(known.user_id or "")
        if seed is None or not seed.is_confirmed:
            return NOT_NEEDED
        if not command.otp:
            return _Matched("absent")
        code = command.otp[:OTP_MAX]
        step = matching_step(seed.secret, code, self._clock.now(), after=seed.last_step)
        return _Matched("wrong") if step is None else _Matched("right", seed.seed_id, step)

    async def _renewed(self, password: str, verdict: Verdict) -> str | None:
        if not verdict.outdated:
            return None
        renewed = await self._hasher.hash(password)
        return renewed if isinstance(renewed, str) else None  # busy: at the next log-in, then

    async def _start(self, entry: _Entry, context: CommandContext) -> int:
        actor = Actor(kind="user", id=entry.known.user_id or "")
        meta = msgspec.structs.replace(context.meta, actor=actor)
        appended = await self._log.append(entry.writes, meta, within=partial(self._enter, entry))
        return appended.last

    async def _enter(self, entry: _Entry, connection: asyncpg.Connection) -> None:
        """Do what belongs to a log-in, if all it was decided on is still so."""
        user_id, code = entry.known.user_id or "", entry.code
        status = await self._vault.hold_credentials(connection, user_id, entry.known)
        if status != "active":
            raise FactsChanged(user_id)
        if code.code == "right" and not await self._seeds.use(
            connection, user_id, code.seed_id, code.step
        ):
            raise FactsChanged(user_id)
        await self._failed.forgive(connection, entry.known.fingerprint, user_id)
        if entry.renewed is not None:
            await self._vault.renew_password(connection, user_id, entry.renewed)
        await forget_expired(connection, user_id, self._clock.now())
        await index(connection, entry.writes)
