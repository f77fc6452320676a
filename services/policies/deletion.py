"""DeletePolicy: the users service retires the name first, then the policy is deleted.

The deletion holds only for the version of the policy that was retired; when the policy has changed
meanwhile, it is looked at and retired again. A process may end between the two steps: whoever
hears then that a policy was retired deletes it, or reinstates it when it is another one by now.
"""

import asyncio
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from services.policies.domain import keypair_policy, project_policy, user_policy
from shared.contracts.base import Accepted, Event, Meta, Rejected, Reply
from shared.contracts.policies import (
    DeletePolicy,
    KeypairPolicyCreated,
    PoliciesEvent,
    PolicyKind,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.contracts.users import PolicyRetired, ReinstatePolicy, RetirePolicy
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import StreamConflict
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import CommandKey, Recorded, Write
from shared.kernel.cancellation import is_wanted
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.answering import answer_once
from shared.messaging.command_client import CommandClient
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

SERVICE: Final = "policies"
SEND_TIMEOUT_S: Final = 5.0
PAUSE_MIN_S: Final = 0.1
PAUSE_MAX_S: Final = 5.0
CHANGED: Final = "policy_changed"
_POSITIONS: Final = (
    "select coalesce(max(position) filter (where type = $2), 0), coalesce(max(position), 0)"
    " from events where stream = $1 and version <= $3"
)
logger = get_logger(__name__)


class _Kind(NamedTuple):
    """How policies of one kind are folded and deleted, and what begins their lives."""

    created: type[KeypairPolicyCreated | UserPolicyCreated | ProjectPolicyCreated]
    initial: Any
    evolve: Callable[[Any, Event], Any]
    decide: Callable[[Any, str], tuple[PoliciesEvent, ...] | Rejection]


KINDS: Final[dict[PolicyKind, _Kind]] = {
    "keypair": _Kind(
        KeypairPolicyCreated,
        keypair_policy.INITIAL,
        keypair_policy.evolve,
        keypair_policy.decide_deletion,
    ),
    "user": _Kind(
        UserPolicyCreated,
        user_policy.INITIAL,
        user_policy.evolve,
        user_policy.decide_deletion,
    ),
    "project": _Kind(
        ProjectPolicyCreated,
        project_policy.INITIAL,
        project_policy.evolve,
        project_policy.decide_deletion,
    ),
}


class _Found(NamedTuple):
    """A policy as it is: `created` is the position of its creation, 0 when there is none.

    `position` is that of the last thing that became of it.
    """

    stream: str
    version: int
    created: int
    position: int
    decided: tuple[Event, ...] | Rejection


class Deletion:
    """Handles DeletePolicy, and finishes what another process has left half done."""

    def __init__(self, log: EventLog, commands: CommandClient, clock: Clock) -> None:
        self._log = log
        self._commands = commands
        self._clock = clock
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def delete(self, command: DeletePolicy, context: CommandContext) -> Outcome:
        """Delete a policy that nothing uses; a repetition gets the first answer."""
        retired: list[int] = []  # what this command has had retired, by its creation
        work = partial(self._delete, command, context, retired)
        async with self._alone(command.kind, command.name):
            return await answer_once(self._log, context.idempotency, work)

    async def take(self, recorded: Recorded) -> None:
        """Finish a deletion when its policy is retired; returns when nothing is left to do."""
        event = recorded.event
        if not isinstance(event, PolicyRetired):
            return
        meta = msgspec.structs.replace(recorded.meta, causation_id=recorded.event_id)
        async with self._alone(event.kind, event.name):
            pause_s = PAUSE_MIN_S
            while is_wanted() and not await self._finish(event, meta):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _alone(self, kind: PolicyKind, name: str) -> asyncio.Lock:
        """Return what keeps this process from doing the same twice; the log keeps the others."""
        return self._locks.setdefault((kind, name), asyncio.Lock())

    async def _delete(
        self, command: DeletePolicy, context: CommandContext, retired: list[int]
    ) -> Outcome:
        found = await self._load(command.kind, command.name)
        if retired and found.created not in retired:
            # somebody else has deleted it after we had it retired
            return await self._accept([], context.meta, context.idempotency)
        if isinstance(found.decided, Rejection):
            return found.decided
        reply = await self._retire(command, found, context)
        if isinstance(reply, Rejected):
            if reply.rejection.code == CHANGED:
                raise StreamConflict(found.stream, found.version, found.version)
            return reply.rejection
        retired.append(found.created)
        write = Write(found.stream, found.version, found.decided)
        return await self._accept([write], context.meta, context.idempotency)

    async def _retire(self, command: DeletePolicy, found: _Found, context: CommandContext) -> Reply:
        remaining_s = context.remaining_s(self._clock.now())
        if remaining_s <= 0:
            return Rejected(
                rejection=unavailable("deadline_passed", "There was no time left; try again.")
            )
        wish = RetirePolicy(
            kind=command.kind, name=command.name, created=found.created, as_of=found.version
        )
        return await self._commands.send(
            wish,
            meta=context.meta,
            timeout_s=min(remaining_s, SEND_TIMEOUT_S),
            # a policy that is no longer the default is retired where another one is known to be
            seen={SERVICE: found.position},
        )

    async def _finish(self, event: PolicyRetired, meta: Meta) -> bool:
        """Delete the policy as it was retired, or let it be used as it is now; False: not yet."""
        found = await self._load(event.kind, event.name)
        if found.created != event.created:
            return True
        if found.version == event.as_of and not isinstance(found.decided, Rejection):
            try:
                await self._accept([Write(found.stream, found.version, found.decided)], meta, None)
            except StreamConflict:
                return False
            logger.info("policy_deletion_finished", kind=event.kind, policy=event.name)
            return True
        wish = ReinstatePolicy(
            kind=event.kind, name=event.name, created=event.created, as_of=found.version
        )
        reply = await self._commands.send(wish, meta=meta, timeout_s=SEND_TIMEOUT_S)
        if isinstance(reply, Rejected):
            logger.warning("policy_not_reinstated", policy=event.name, why=reply.rejection.code)
            return False
        return True

    async def _load(self, kind: PolicyKind, name: str) -> _Found:
        rules = KINDS[kind]
        stream = stream_name(rules.created.AGGREGATE, name)
        loaded = await self._log.load(stream)
        decided = rules.decide(reduce(rules.evolve, loaded.events, rules.initial), name)
        with reaching_postgres():
            ((created, last),) = await self._log.pool.fetch(
                _POSITIONS, stream, rules.created.__name__, loaded.version
            )
        gone = isinstance(decided, Rejection) and decided.kind == "not_found"
        return _Found(stream, loaded.version, 0 if gone else created, last, decided)

    async def _accept(self, writes: list[Write], meta: Meta, key: CommandKey | None) -> Accepted:
        appended = await self._log.append(writes, meta, command=key)
        for write in writes:
            logger.info("policy_deleted", stream=write.stream, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last)
