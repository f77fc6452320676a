"""ChangeOwnPassword: a new password for oneself, and an end of one's other log-in sessions."""

import unicodedata
from functools import partial
from typing import Final

import asyncpg

from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.attempts import FailedLogins
from services.users.creation import malformed_password
from services.users.domain import password, user
from services.users.domain.password import PasswordFacts
from services.users.indexing import index
from services.users.live_logins import endings, hold, live_logins
from services.users.vault import Credentials, Vault
from shared.contracts.base import Accepted
from shared.contracts.users import ChangeOwnPassword
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.records import Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher
from shared.security.rules import check_password
from shared.security.sealing import Keyring, SealBroken
from shared.security.transport import open_password

USER: Final = Decider(user.INITIAL, user.evolve, password.decide)
logger = get_logger(__name__)


class Passwords:
    """Handles ChangeOwnPassword; an administrator's new password is part of ChangeUser."""

    def __init__(
        self, log: EventLog, keyring: Keyring, hasher: PasswordHasher, clock: Clock
    ) -> None:
        self._log = log
        self._keyring = keyring
        self._hasher = hasher
        self._clock = clock
        self._vault = Vault(log.pool, keyring)
        self._failed = FailedLogins(log, clock)

    async def change_own(self, command: ChangeOwnPassword, context: CommandContext) -> Outcome:
        """Set one's own password; the session that does it goes on, the others end."""
        try:
            old = open_password(self._keyring, command.sealed_old)
            new = open_password(self._keyring, command.sealed_new)
        except SealBroken:
            return malformed_password()
        work = partial(self._change_own, command, old, new, context)
        return await answer_once(self._log, context.idempotency, work)

    async def _change_own(
        self, command: ChangeOwnPassword, old: str, new: str, context: CommandContext
    ) -> Outcome:
        user_id = command.user_id
        known = await self._vault.credentials_of_user(user_id)
        locked = await self._failed.refusal(known.fingerprint)
        if locked is not None:
            return locked
        facts = await self._facts(known, old, new, context)
        if isinstance(facts, Rejection):
            return facts
        stream = await self._log.load(stream_name("user", user_id))
        state = USER.fold(stream.events)
        decided = password.decide(state, command, facts)
        if isinstance(decided, Rejection):
            if decided.code == password.OLD_WRONG:
                refused = await self._failed.add(known.fingerprint, user_id, context.meta)
                return refused or decided
            return decided
        encoded = await self._hash(new, context)
        if isinstance(encoded, Rejection):
            return encoded
        now = self._clock.now()
        logins = await live_logins(self._log.pool, user_id, now)
        others = (login_id for login_id in logins if login_id != command.keep_login_id)
        ended = endings(user_id, others, "password_changed")
        writes = [Write(stream.name, stream.version, decided), *ended]

        async def store(connection: asyncpg.Connection) -> None:
            if await self._vault.hold_credentials(connection, user_id, known) is None:
                raise FactsChanged(user_id)
            await hold(connection, user_id, logins, now)
            await self._vault.put_password(connection, user_id, encoded)
            await self._failed.forgive(connection, known.fingerprint, user_id)
            await index(connection, writes)

        appended = await self._log.append(
            writes, context.meta, command=context.idempotency, within=store
        )
        logger.info("password_set", user_id=user_id, by="self", ended=len(ended))
        return Accepted(service=SERVICE, position=appended.last)

    async def _facts(
        self, known: Credentials, old: str, new: str, context: CommandContext
    ) -> PasswordFacts | Rejection:
        error = check_password(new, "new")
        if error is not None:  # nothing is said of the old one, so nothing is spent on it
            return PasswordFacts(error=error)
        remaining_s = context.remaining_s(self._clock.now())
        verdict = await self._hasher.verify(known.encoded_hash, old, wait_s=remaining_s)
        if isinstance(verdict, Rejection):
            return verdict
        return PasswordFacts(old_is_right=verdict.matches, is_same=_normal(old) == _normal(new))

    async def _hash(self, new: str, context: CommandContext) -> str | Rejection:
        remaining_s = context.remaining_s(self._clock.now())
        return await self._hasher.hash(new, wait_s=remaining_s)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
