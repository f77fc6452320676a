"""From the log to the books, and books that keep up with the log of another leader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.scheduler.books import Books
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.observability.logging import get_logger

log = get_logger(__name__)

REST_S: Final = 0.5


class Folding:
    """Books that were folded up to `position`.

    Who waits for the leadership keeps them up to date meanwhile, so that taking over does not
    depend on how long the log is.
    """

    def __init__(self, books: Books, event_log: EventLog) -> None:
        self.books = books
        self.position = 0
        self._log = event_log

    async def catch_up(self) -> None:
        """Take in what is in the log by now; raises LogUnavailable."""
        async for recorded in self._log.fold_all(self.position):
            self.books.apply(recorded.event, recorded.meta.correlation_id, recorded.recorded_at)
            self.position = recorded.position

    @asynccontextmanager
    async def keeping_up(self) -> AsyncIterator[None]:
        """Catch up again and again inside the block."""
        task = asyncio.create_task(self._keep_up())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_up(self) -> None:
        keeps_up: bool | None = None
        while True:
            try:
                await self.catch_up()
                if not keeps_up:
                    log.info("keeping_up", position=self.position)
                keeps_up = True
            except LogUnavailable as problem:
                if keeps_up is not False:
                    log.warning("not_keeping_up", problem=str(problem), position=self.position)
                keeps_up = False
            # a rest between reads: to be so far behind costs a successor nothing; NATS may be away
            await asyncio.sleep(REST_S)
