"""BeginTotp, ConfirmTotp and RemoveTotp: one's own one-time passwords, switched on and off."""

from functools import partial
from typing import Final, NamedTuple

import asyncpg

from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.attempts import FailedLogins
from services.users.domain import totp, user
from services.users.domain.totp import ShownCode
from services.users.domain.user import User
from services.users.indexing import index
from services.users.seeds import Seed, Seeds
from services.users.vault import Vault
from shared.contracts.base import Accepted
from shared.contracts.users import BeginTotp, ConfirmTotp, RemoveTotp
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.records import Write
from shared.eventlog.writing import Within
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.sealing import Keyring
from shared.security.totp import matching_step, new_seed, render_seed
from shared.security.transport import seal_totp_secret

CODE_MAX: Final = 64
USER: Final = Decider(user.INITIAL, user.evolve, totp.decide)
logger = get_logger(__name__)


class _Present(NamedTuple):
    """What a command is decided on: the user's stream, the seed, and the code that was shown."""

    version: int
    state: User
    seed: Seed | None
    shown: ShownCode


class Totp:
    """Handles the commands that a user gives for the own second factor."""

    def __init__(self, log: EventLog, keyring: Keyring, clock: Clock) -> None:
        self._log = log
        self._keyring = keyring
        self._clock = clock
        self._seeds = Seeds(log.pool, keyring)
        self._vault = Vault(log.pool, keyring)
        self._failed = FailedLogins(log, clock)

    async def begin(self, command: BeginTotp, context: CommandContext) -> Outcome:
        """Draw a seed in place of one that was not confirmed."""
        return await answer_once(
            self._log, context.idempotency, partial(self._begin, command, context)
        )

    async def confirm(self, command: ConfirmTotp, context: CommandContext) -> Outcome:
        """Switch one-time passwords on; the code that was shown is used up."""
        return await answer_once(
            self._log, context.idempotency, partial(self._confirm, command, context)
        )

    async def remove(self, command: RemoveTotp, context: CommandContext) -> Outcome:
        """Switch one-time passwords off and forget the seed; wrong codes count as in log-ins."""
        return await answer_once(
            self._log, context.idempotency, partial(self._remove, command, context)
        )

    async def _begin(self, command: BeginTotp, context: CommandContext) -> Outcome:
        user_id = command.user_id
        present = await self._present(user_id, None)
        decided = totp.decide(present.state, command)
        if isinstance(decided, Rejection):
            return decided
        seed_id, seed = new_id(), new_seed()

        async def draw(connection: asyncpg.Connection) -> None:
            if not await self._seeds.draw(connection, user_id, seed_id, seed):
                raise FactsChanged(user_id)

        sealed = seal_totp_secret(self._keyring, user_id, render_seed(seed))
        return await self._append([], draw, context, {"sealed_secret": sealed})

    async def _confirm(self, command: ConfirmTotp, context: CommandContext) -> Outcome:
        user_id = command.user_id
        present = await self._present(user_id, command.code)
        decided = totp.decide(present.state, command, present.shown)
        if isinstance(decided, Rejection):
            return decided
        writes = [Write(stream_name("user", user_id), present.version, decided)]
        outcome = await self._append(
            writes, partial(self._use, user_id, present, writes), context, {}
        )
        logger.info("totp_enabled", user_id=user_id)
        return outcome

    async def _remove(self, command: RemoveTotp, context: CommandContext) -> Outcome:
        user_id = command.user_id
        fingerprint = (await self._vault.credentials_of_user(user_id)).fingerprint
        locked = await self._failed.refusal(fingerprint)
        if locked is not None:
            return locked
        present = await self._present(user_id, command.code)
        decided = totp.decide(present.state, command, present.shown)
        if isinstance(decided, Rejection):
            if decided.code == totp.wrong_code().code:
                return await self._failed.add(fingerprint, user_id, context.meta) or decided
            return decided
        writes = [Write(stream_name("user", user_id), present.version, decided)]

        async def use_and_drop(connection: asyncpg.Connection) -> None:
            await self._use(user_id, present, writes, connection)
            await self._seeds.drop(connection, user_id)

        outcome = await self._append(writes, use_and_drop, context, {})
        logger.info("totp_disabled", user_id=user_id)
        return outcome

    async def _present(self, user_id: str, code: str | None) -> _Present:
        stream = await self._log.load(stream_name("user", user_id))
        seed = await self._seeds.of(user_id)
        step = None
        if seed is not None and code is not None:
            moment = self._clock.now()
            step = matching_step(seed.secret, code[:CODE_MAX], moment, after=seed.last_step)
        shown = ShownCode(has_seed=seed is not None, step=step)
        return _Present(stream.version, USER.fold(stream.events), seed, shown)

    async def _use(
        self,
        user_id: str,
        present: _Present,
        writes: list[Write],
        connection: asyncpg.Connection,
    ) -> None:
        seed, step = present.seed, present.shown.step
        if seed is None or step is None:
            raise ValueError("decided without a code")
        if not await self._seeds.use(connection, user_id, seed.seed_id, step):
            raise FactsChanged(user_id)
        await index(connection, writes)

    async def _append(
        self, writes: list[Write], within: Within, context: CommandContext, result: dict[str, str]
    ) -> Outcome:
        appended = await self._log.append(
            writes, context.meta, command=context.idempotency, result=result, within=within
        )
        return Accepted(service=SERVICE, position=appended.last, result=result)
