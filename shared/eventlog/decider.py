"""A decider is two pure functions; here they meet the log: load, fold, decide, append."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Generic, TypeVar

from shared.contracts.base import Event, Meta
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import (
    ClaimTaken,
    CommandRepeated,
    IdempotencyMismatch,
    StreamConflict,
)
from shared.eventlog.records import Appended, Claim, CommandKey, DoneCommand, Write
from shared.eventlog.writing import Within
from shared.kernel.rejections import Rejection

S = TypeVar("S")
C = TypeVar("C")
X = TypeVar("X")

TRIES_MAX: Final = 3
PAUSE_MAX_S: Final = 0.02

_jitter: Final = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Decider(Generic[S, C, X]):
    """The rules of one aggregate, without I/O, clock or chance.

    `decide(state, command, context)` returns events (none: accepted, nothing changes) or a
    Rejection; what it must know beside the state comes in `context`. `evolve(state, event)`
    returns the next state and never fails.
    """

    initial: S
    evolve: Callable[[S, Any], S]
    decide: Callable[[S, C, X], Sequence[Event] | Rejection]

    def fold(self, events: Iterable[Event], state: S | None = None) -> S:
        """Return the state after `events`, from `state` or from the beginning."""
        return reduce(self.evolve, events, self.initial if state is None else state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What is written beside the events, if a command is accepted.

    `taken` words the refusal when another owner holds one of the claimed names.
    """

    claims: Sequence[Claim] = ()
    releases: Sequence[Claim] = ()
    result: dict[str, Any] | None = None
    within: Within | None = None
    epoch: int | None = None
    taken: Callable[[ClaimTaken], Rejection] | None = None


NO_EFFECTS: Final = Effects()


async def execute(
    log: EventLog,
    decider: Decider[S, C, X],
    stream: str,
    command: C,
    context: X,
    meta: Meta,
    *,
    key: CommandKey | None = None,
    effects: Effects = NO_EFFECTS,
) -> Appended | DoneCommand | Rejection:
    """Decide `command` on the present state of `stream` and append what it decides.

    A conflict with another writer is decided again, at most TRIES_MAX times in all; after that it
    is raised (StreamConflict), as are LogUnavailable and StaleEpoch. With `key`, a command that
    was accepted before is a DoneCommand: its first answer. Refusals are not remembered. A name
    that is taken is a Rejection if `effects.taken` words it, else ClaimTaken is raised.
    """
    for attempt in range(1, TRIES_MAX + 1):
        if attempt > 1:
            await asyncio.sleep(_jitter.uniform(0, PAUSE_MAX_S))  # let the other writers pass
        loaded = await log.load(stream)
        decided = decider.decide(decider.fold(loaded.events), command, context)
        if isinstance(decided, Rejection):
            return await _first_answer(log, key) or decided
        try:
            return await log.append(
                [Write(stream, loaded.version, decided)] if decided else [],
                meta,
                claims=effects.claims,
                releases=effects.releases,
                command=key,
                result=effects.result,
                epoch=effects.epoch,
                within=effects.within,
            )
        except StreamConflict:
            if attempt == TRIES_MAX:
                raise
        except CommandRepeated as repeated:
            return repeated.done
        except IdempotencyMismatch as mismatch:
            return mismatch.rejection
        except ClaimTaken as taken:
            if effects.taken is None:
                raise
            return effects.taken(taken)
    raise AssertionError("every try returns or raises")


async def _first_answer(log: EventLog, key: CommandKey | None) -> DoneCommand | Rejection | None:
    """Look for a first acceptance: a repeated command may be refused on the state it has made."""
    if key is None:
        return None
    try:
        return await log.find_command(key)
    except IdempotencyMismatch as mismatch:
        return mismatch.rejection
