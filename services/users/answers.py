"""A command is done once: whoever repeats it gets the first answer, whatever has changed since."""

from collections.abc import Awaitable, Callable
from typing import Final

from shared.contracts.base import Accepted
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated, IdempotencyMismatch, StreamConflict
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.commands import Outcome

SERVICE: Final = "users"
TRIES_MAX: Final = 4


class FactsChanged(StreamConflict):
    """Rows that something was decided on are others by now: look, decide and append again."""

    def __init__(self, user_id: str) -> None:
        super().__init__(stream_name("user", user_id), 0, 0)


async def answer_once(
    log: EventLog, key: CommandKey | None, work: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Return the first answer to a command, or do it now.

    `work` is done again, TRIES_MAX times in all, when it raises StreamConflict (or FactsChanged):
    what it was decided on has changed meanwhile. A refusal is what its caller gets, unless the
    very same command was accepted while this one was looked at.
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
        done = repeated.done
        return Accepted(service=SERVICE, position=done.position, result=done.result)
    except IdempotencyMismatch as mismatch:
        return mismatch.rejection
    return unavailable("busy", "Others are changing the same at this moment; try again.")


async def _first_answer(log: EventLog, key: CommandKey | None) -> Accepted | None:
    done = None if key is None else await log.find_command(key)
    if done is None:
        return None
    return Accepted(service=SERVICE, position=done.position, result=done.result)
