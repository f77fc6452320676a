"""One scheduler leads: an advisory lock says which, an epoch in the database holds it to that.

The lock is how a successor learns that the place is free. What makes it safe is the epoch: every
append carries it, and the database refuses one that is over, also from a leader that slept.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg

from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.observability.logging import get_logger

log = get_logger(__name__)

NAME: Final = "scheduler"
TRY_INTERVAL_S: Final = 1.0
_LOCK: Final = 0x716D_0003
_TRY: Final = "select pg_try_advisory_lock($1, hashtext(current_schema()))"
_STILL: Final = "select epoch from epochs where name = $1"


class LeadershipLost(Exception):  # noqa: N818  # reads as what happened
    """Another scheduler leads now; this one must stop."""


class Leadership:
    """The place of the one that writes. `win`, then `keep` in the background."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self._connection: Any = None
        self._gone = asyncio.Event()
        self.epoch = 0

    async def win(self) -> int:
        """Wait until this process leads; return its epoch, higher than all before."""
        await self._lock()
        self.epoch = await self._log.take_epoch(NAME)
        log.info("leading", epoch=self.epoch)
        return self.epoch

    async def keep(self) -> None:
        """Hold the lock until cancelled, taking it again after Postgres was away.

        Raises LeadershipLost when another scheduler has taken over meanwhile.
        """
        try:
            while True:
                await self._gone.wait()
                log.warning("lock_lost", epoch=self.epoch)
                await self._lock()
                await self._check_epoch()
        finally:
            await self._let_go()

    async def _lock(self) -> None:
        """Take the lock, however long another holds it or Postgres is away."""
        while True:
            try:
                if await self._try():
                    return
                await self._check_epoch()
            except LogUnavailable as problem:
                log.warning("lock_waits", problem=str(problem))
            # Postgres can't tell when an advisory lock is free without holding a transaction
            await asyncio.sleep(TRY_INTERVAL_S)

    async def _check_epoch(self) -> None:
        with reaching_postgres():
            epoch = await self._log.pool.fetchval(_STILL, NAME)
        if self.epoch and epoch != self.epoch:
            raise LeadershipLost(f"epoch {epoch} has begun after {self.epoch}")

    async def _try(self) -> bool:
        with reaching_postgres():
            if self._connection is None or self._gone.is_set():
                await self._let_go()
                self._connection = await self._log.pool.acquire()
                self._gone = asyncio.Event()
                self._connection.add_termination_listener(self._on_termination)
            locked: bool = await self._connection.fetchval(_TRY, _LOCK)
        return locked

    def _on_termination(self, _connection: Any) -> None:
        self._gone.set()

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(asyncpg.InterfaceError):  # it is gone already
            connection.terminate()  # and the lock with it
        with suppress(asyncpg.InterfaceError):
            await self._log.pool.release(connection)
