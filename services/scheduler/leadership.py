"""One scheduler leads: a place says which, an epoch in the database holds it to that.

The place is how a successor learns that it is free, or that who has it is silent. What makes it
safe is the epoch: every append carries it, and the database refuses one that is over, also from a
leader that slept. What is not an append asks `confirm` first.
"""

import asyncio
from typing import Final

from services.scheduler.place import Place
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable, StaleEpoch
from shared.eventlog.pool import reaching_postgres
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger

log = get_logger(__name__)

NAME: Final = "scheduler"
TICK_S: Final = 1.0
_LOCK: Final = 0x716D_0003
_STILL: Final = "select epoch from epochs where name = $1"


class Leadership:
    """The place of the one that writes. `win`, then `keep` in the background."""

    def __init__(self, event_log: EventLog, url: str, clock: Clock) -> None:
        self._log = event_log
        self._url = url
        self._clock = clock
        self._place: Place | None = None
        self._news = asyncio.Event()
        self._checked = 0
        self.epoch = 0

    async def win(self) -> int:
        """Wait until this process leads; return its epoch, higher than all before."""
        self._place = Place(self._url, _LOCK, NAME, clock=self._clock, changed=self._news.set)
        try:
            await self._tick()
            if not self._place.is_held:
                log.info("standing_by")
            while not self._place.is_held:
                await self._tick()
            self._checked = self._place.times
            self.epoch = await self._log.take_epoch(NAME)
        except BaseException:
            await self._place.close()
            raise
        log.info("leading", epoch=self.epoch)
        return self.epoch

    async def keep(self) -> None:
        """Hold the place until cancelled, taking it again after Postgres was away.

        Raises StaleEpoch when another scheduler has taken over meanwhile.
        """
        if self._place is None:
            raise RuntimeError("nothing has been won yet")
        try:
            while True:
                await self._tick()
                try:
                    await self.confirm()
                except LogUnavailable as problem:
                    log.warning("leadership_unknown", epoch=self.epoch, problem=str(problem))
        finally:
            await self._place.close()

    async def confirm(self) -> None:
        """See to it that no other scheduler leads at this moment.

        Raises StaleEpoch when one does, LogUnavailable when nobody can be asked.
        """
        place = self._place
        if place is None:
            raise RuntimeError("nothing has been won yet")
        times = place.times
        if place.is_sure and times == self._checked:
            return
        await self._check_epoch()
        # who has the place since before it asked is not taken over before it has lost it again
        self._checked = times

    async def _tick(self) -> None:
        """Wait for news of the place, and say now and then that this loop turns."""
        if self._place is not None:
            self._place.check()
            self._place.alive()
        try:
            async with asyncio.timeout(TICK_S):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _check_epoch(self) -> None:
        with reaching_postgres():
            newest = await self._log.pool.fetchval(_STILL, NAME)
        if newest != self.epoch:
            log.warning("another_leads", epoch=self.epoch, newest=newest)
            raise StaleEpoch(self.epoch)
