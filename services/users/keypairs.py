"""Keypairs: issue, change, make main, delete, reveal, and tell that one is being refused.

A decision rests on the keypair's stream and on the index (whose it is, which one is the main
one). Both are looked at again in the transaction that appends, with the rows locked: when they
are not what the decision was made on, it is made again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import asyncpg
import msgspec
from msgspec import UNSET

from services.users import keypair_index
from services.users.assignments import hold_assigned, is_assignable
from services.users.domain import keypair
from services.users.domain.keypair import DEFAULT_RATE_LIMIT, Facts, NewKeypair
from services.users.indexing import index
from services.users.keypair_index import Holder
from services.users.known_policies import KnownPolicies
from services.users.vault import Vault
from shared.contracts.base import Accepted, Event, Sealed
from shared.contracts.users import (
    ChangeKeypair,
    DeleteKeypair,
    IssueKeypair,
    ReportRateLimited,
    RevealKeypair,
    SwitchMainKeypair,
    UserEvent,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated, IdempotencyMismatch, StreamConflict
from shared.eventlog.records import Appended, DoneCommand, Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, not_found, unavailable
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.sealing import Keyring
from shared.security.tokens import new_access_key, new_secret_key

SERVICE: Final = "users"
TRIES_MAX: Final = 5
PAUSE_MAX_S: Final = 0.02
KEYPAIR: Final = Decider(keypair.INITIAL, keypair.evolve, keypair.decide)
logger = get_logger(__name__)

_jitter: Final = random.SystemRandom()
Existing = ChangeKeypair | SwitchMainKeypair | DeleteKeypair | RevealKeypair | ReportRateLimited
More = Callable[[asyncpg.Connection], Awaitable[None]]


class _Moved(Exception):  # noqa: N818  # what a decision was made on is so no longer
    pass


class _Decision(NamedTuple):
    """What is to be written, and the keypairs of its user as they were when it was decided."""

    user_id: str
    before: Holder | None
    writes: list[Write]


class Keypairs:
    """Handles the commands about keypairs; who may give them is decided at the gateway."""

    def __init__(
        self, log: EventLog, keyring: Keyring, policies: KnownPolicies, clock: Clock
    ) -> None:
        self._log = log
        self._policies = policies
        self._clock = clock
        self._vault = Vault(log.pool, keyring)

    async def issue(self, command: IssueKeypair, context: CommandContext) -> Outcome:
        """Give a user one more keypair, in what is not said like the user's main one."""
        access_key, secret_key = new_access_key(), new_secret_key()

        async def store(connection: asyncpg.Connection) -> None:
            await self._vault.put_secret_key(connection, command.user_id, access_key, secret_key)

        async def decide() -> _Decision | Rejection:
            return await self._issue(command, access_key)

        done = await self._settle(decide, context, {"access_key": access_key}, more=store)
        if isinstance(done, Rejection):
            return done
        # a repeated command is answered with its first keypair, and the secret is kept nowhere else
        issued = done.result["access_key"] if isinstance(done, DoneCommand) else access_key
        return await self._with_secret(issued, done)

    async def change(self, command: ChangeKeypair, context: CommandContext) -> Outcome:
        """Change what is given of a keypair."""
        return _accepted(await self._settle(partial(self._decide, command), context))

    async def switch_main(self, command: SwitchMainKeypair, context: CommandContext) -> Outcome:
        """Make a keypair its user's main one."""
        return _accepted(await self._settle(partial(self._decide, command), context))

    async def delete(self, command: DeleteKeypair, context: CommandContext) -> Outcome:
        """Delete a keypair together with its secret."""

        async def forget(connection: asyncpg.Connection) -> None:
            await self._vault.forget_secret_key(connection, command.access_key)

        decide = partial(self._decide, command)
        return _accepted(await self._settle(decide, context, more=forget))

    async def reveal(self, command: RevealKeypair, context: CommandContext) -> Outcome:
        """Show a secret, after it is in the log that it is shown: not at all otherwise."""
        done = await self._settle(partial(self._decide, command), context)
        if isinstance(done, Rejection):
            return done
        logger.info("keypair_revealed", access_key=command.access_key, by=context.meta.actor.id)
        return await self._with_secret(command.access_key, done)

    async def report_limited(self, command: ReportRateLimited, context: CommandContext) -> Outcome:
        """Record that a keypair is being refused, unless that was recorded not long ago."""
        return _accepted(await self._settle(partial(self._decide, command), context))

    async def _issue(self, command: IssueKeypair, access_key: str) -> _Decision | Rejection:
        if (unknown := self._policies.unknown()) is not None:
            return unknown
        holder = await keypair_index.holder(self._log.pool, command.user_id)
        if holder is None:
            return not_found("user", command.user_id[:64])
        main = holder.main
        policy, limit = command.resource_policy, command.rate_limit
        if policy is UNSET:
            policy = main.resource_policy if main else self._policies.default_keypair_policy or ""
        if limit is UNSET:
            limit = main.rate_limit if main else DEFAULT_RATE_LIMIT
        wish = NewKeypair(
            access_key=access_key,
            user_id=command.user_id,
            resource_policy=policy,
            is_main=main is None,
            rate_limit=limit,
        )
        facts = Facts(
            user_is_erased=holder.is_erased,
            policy_exists=await is_assignable(self._log.pool, self._policies, "keypair", policy),
        )
        decided = KEYPAIR.decide(keypair.INITIAL, wish, facts)
        if isinstance(decided, Rejection):
            return decided
        write = Write(stream_name("keypair", access_key), 0, decided)
        return _Decision(command.user_id, holder, [write])

    async def _decide(self, command: Existing) -> _Decision | Rejection:
        names_policy = isinstance(command, ChangeKeypair) and command.resource_policy is not UNSET
        if names_policy and (unknown := self._policies.unknown()) is not None:
            return unknown
        stream = stream_name("keypair", command.access_key)
        loaded = await self._log.load(stream)
        state = KEYPAIR.fold(loaded.events)
        holder = await keypair_index.holder(self._log.pool, state.user_id)
        main = holder.main if holder else None
        facts = Facts(
            main=main.access_key if main else None,
            user_is_erased=holder is not None and holder.is_erased,
            policy_exists=await self._may_have_policy(command),
        )
        if isinstance(command, ReportRateLimited):
            told = await keypair_index.limited_at(self._log.pool, stream)
            facts = msgspec.structs.replace(facts, limited_at=told, now=self._clock.now())
        decided = KEYPAIR.decide(state, command, facts)
        if isinstance(decided, Rejection):
            return decided
        writes = _writes(stream, loaded.version, decided) if decided else []
        return _Decision(state.user_id, holder, writes)

    async def _may_have_policy(self, command: Existing) -> bool:
        if not isinstance(command, ChangeKeypair) or command.resource_policy is UNSET:
            return True
        policy = command.resource_policy
        return await is_assignable(self._log.pool, self._policies, "keypair", policy)

    async def _settle(
        self,
        decide: Callable[[], Awaitable[_Decision | Rejection]],
        context: CommandContext,
        result: dict[str, object] | None = None,
        *,
        more: More | None = None,
    ) -> Appended | DoneCommand | Rejection:
        """Decide and append, again where somebody else was faster."""
        try:
            for _ in range(TRIES_MAX):
                decision = await decide()
                if isinstance(decision, Rejection):
                    return await self._first_answer(context) or decision
                try:
                    return await self._append(decision, context, result, more)
                except (_Moved, StreamConflict):
                    await asyncio.sleep(_jitter.uniform(0, PAUSE_MAX_S))  # let the others pass
        except CommandRepeated as repeated:
            return repeated.done
        except IdempotencyMismatch as mismatch:
            return mismatch.rejection
        return unavailable("busy", "The keypair is being changed by others; try again.")

    async def _append(
        self,
        decision: _Decision,
        context: CommandContext,
        result: dict[str, object] | None,
        more: More | None,
    ) -> Appended:
        async def commit(connection: asyncpg.Connection) -> None:
            now = await keypair_index.holder(connection, decision.user_id, lock=True)
            if now != decision.before:
                raise _Moved
            await hold_assigned(connection, self._policies, decision.writes)
            await index(connection, decision.writes)
            if more is not None:
                await more(connection)

        return await self._log.append(
            decision.writes,
            context.meta,
            command=context.idempotency,
            result=result,
            within=commit if decision.writes else None,
        )

    async def _first_answer(self, context: CommandContext) -> DoneCommand | None:
        if context.idempotency is None:
            return None
        return await self._log.find_command(context.idempotency)

    async def _with_secret(self, access_key: str, done: Appended | DoneCommand) -> Outcome:
        sealed: Sealed | None = (await self._vault.secret_keys([access_key]))[access_key]
        if sealed is None:
            return not_found("keypair", access_key[:64])
        result = {"access_key": access_key, "sealed_secret_key": sealed}
        return Accepted(service=SERVICE, position=_position(done), result=result)


def _writes(stream: str, version: int, events: Sequence[Event]) -> list[Write]:
    """Lay out what was decided; the keypair's own stream is held to its version in any case."""
    own = [event for event in events if not isinstance(event, UserEvent)]
    of_user = [event for event in events if isinstance(event, UserEvent)]
    writes = [Write(stream, version, own)]
    writes += [Write(stream_name("user", event.user_id), None, [event]) for event in of_user]
    return writes


def _position(done: Appended | DoneCommand) -> int:
    return done.position if isinstance(done, DoneCommand) else done.last


def _accepted(done: Appended | DoneCommand | Rejection) -> Outcome:
    if isinstance(done, Rejection):
        return done
    result = done.result if isinstance(done, DoneCommand) else {}
    return Accepted(service=SERVICE, position=_position(done), result=result)
