"""A command is done once: whoever repeats it gets the first answer, whatever has changed since."""

from collections.abc import Awaitable, Callable
from typing import Final, cast

from shared.contracts.base import Accepted, ServiceName
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated, IdempotencyMismatch, StreamConflict
from shared.eventlog.records import CommandKey, DoneCommand
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.commands import Outcome

TRIES_MAX: Final = 12  # of several writers one is through each time, so many may meet


async def answer_once(
    log: EventLog, key: CommandKey | None, work: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Return the first answer to a command, or do it now.

    `work` is done again, TRIES_MAX times in all, when it raises StreamConflict: what it was
    decided on has changed meanwhile. A refusal is what its caller gets, unless the very same
    command was accepted while this one was looked at.
    """
    try:
        for _ in range(TRIES_MAX):
            first = await _first_answer(log, key)
            if first is not None:
                return first
            try:
                outcome = await work()
            except StreamConflict:
                continue
            if isinstance(outcome, Rejection):
                return await _first_answer(log, key) or outcome
            return outcome
    except CommandRepeated as repeated:
        return _accepted(log, repeated.done)
    except IdempotencyMismatch as mismatch:
        return mismatch.rejection
    return unavailable("busy", "Others are changing the same at this moment; try again.")


async def _first_answer(log: EventLog, key: CommandKey | None) -> Accepted | None:
    done = None if key is None else await log.find_command(key)
    return None if done is None else _accepted(log, done)


def _accepted(log: EventLog, done: DoneCommand) -> Accepted:
    service = cast("ServiceName", log.service)
    return Accepted(service=service, position=done.position, result=done.result)
