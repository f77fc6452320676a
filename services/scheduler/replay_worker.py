"""A process that replays one period: reads the log by itself, so that the leader isn't disturbed.

    python -m services.scheduler.replay_worker < order > words

Whoever has ordered it may kill it at any time; it writes nothing but its words, and ends by
itself when nobody reads them.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import asyncpg
import msgspec

from services.scheduler.forecast.comparison import Question, compare
from services.scheduler.forecast.recording import (
    OVER,
    Recorder,
    Recording,
    TooManySessionsError,
)
from services.scheduler.forecast.replay import Rules
from services.scheduler.replay_order import ReplayOrder, ReplayWord
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
    SessionEnqueued,
    SessionScheduled,
)
from shared.eventlog.codec import type_of
from shared.eventlog.codecs import codec_for
from shared.eventlog.pool import server_settings
from shared.kernel.rejections import FieldError, Rejection

SESSIONS_MAX: Final = 100_000
BATCH: Final = 5_000
NICENESS: Final = 10
READING: Final = 50  # percent of the work
COMMAND_TIMEOUT_S: Final = 35.0
_TYPES: Final = [
    type_of(one)
    for one in (
        ResourceGroupCreated,
        ResourceGroupChanged,
        ResourceGroupDeleted,
        SessionEnqueued,
        SessionScheduled,
        *OVER,
    )
]
_READ: Final = (
    "select position, type, schema_version, data, recorded_at from events"
    " where position > $1 and type = any($2::text[]) order by position limit $3"
)
Told = Callable[[float], None]


async def read(order: ReplayOrder, told: Told, limit: int = SESSIONS_MAX) -> Recording:
    """Return what the log has of a period; raises TooManySessionsError."""
    connection = await asyncpg.connect(
        order.database_url,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=server_settings("scheduler-replay"),
    )
    try:
        recorder = Recorder(order.group, order.since, order.until, limit)
        decode = codec_for("scheduler").decode
        head = await connection.fetchval("select position from log_head")
        after, is_complete, now = 0, False, order.until
        while not is_complete and (rows := await connection.fetch(_READ, after, _TYPES, BATCH)):
            for _, kind, version, data, at in rows:
                recorder.apply(decode(kind, version, data), at)
            after, now = rows[-1][0], max(order.until, rows[-1][4])
            is_complete = recorder.is_complete(rows[-1][4])
            told(min(after / max(head, 1), 1.0))
        return recorder.finish(now)
    finally:
        await connection.close()


async def carry_out(order: ReplayOrder, say: Callable[[ReplayWord], None]) -> None:
    """Do what was ordered and say what came of it."""
    percent = -1

    def told(done: float) -> None:
        nonlocal percent
        if int(done) > percent:
            percent = int(done)
            say(ReplayWord(percent=min(percent, 99)))

    try:
        recording = await read(order, lambda part: told(part * READING))
    except TooManySessionsError:
        text = f"More than {SESSIONS_MAX} sessions belong to this period; ask for a shorter one."
        errors = (FieldError("from", "too_many_sessions", text),)
        refused = Rejection(kind="invalid", code="too_many_sessions", message=text, errors=errors)
        say(ReplayWord(percent=100, rejection=refused))
        return
    question = Question(
        group=order.group,
        since=order.since,
        until=order.until,
        agents=order.agents,
        agents_known_since=order.agents_known_since,
        rules=Rules(order.limits, order.defaults, order.retry_s),
        variation=order.variation,
    )
    rest = 100 - READING
    found = compare(question, recording, lambda part: told(READING + part * rest))
    say(ReplayWord(percent=100, comparison=found))


def main() -> int:
    """Read an order from standard input; returns the exit status."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=ReplayOrder)
    os.nice(NICENESS)

    def say(word: ReplayWord) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
        sys.stdout.buffer.flush()

    with suppress(BrokenPipeError):  # nobody wants to know any more
        asyncio.run(carry_out(order, say))
    return 0


if __name__ == "__main__":
    sys.exit(main())
