"""Forget answers to commands that nobody will repeat any more; events are kept for ever."""

import asyncio
from datetime import timedelta
from typing import Final

from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger

log = get_logger(__name__)

# Longer than any client or process manager goes on repeating a command.
KEEP_ANSWERS: Final = timedelta(days=7)
INTERVAL_S: Final = 3600.0
BATCH: Final = 1000
_FORGET: Final = """
    delete from commands_done where idempotency_key in (
        select idempotency_key from commands_done where done_at < $1 order by done_at limit $2)
"""


async def forget_old_answers(event_log: EventLog, clock: Clock) -> int:
    """Delete the answers older than KEEP_ANSWERS, a few at a time; returns how many went.

    Raises LogUnavailable.
    """
    before, forgotten, went = clock.now() - KEEP_ANSWERS, 0, BATCH
    while went == BATCH:
        with reaching_postgres():
            went = int((await event_log.pool.execute(_FORGET, before, BATCH)).split()[-1])
        forgotten += went
    return forgotten


async def keep_house(event_log: EventLog, clock: Clock) -> None:
    """Forget old answers now and every hour, until cancelled."""
    while True:
        try:
            if forgotten := await forget_old_answers(event_log, clock):
                log.info("answers_forgotten", service=event_log.service, count=forgotten)
        except LogUnavailable as problem:
            log.info("housekeeping_put_off", problem=str(problem))
        await asyncio.sleep(INTERVAL_S)  # nothing tells of the passing of a week but the clock
