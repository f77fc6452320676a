"""The leader's place, held on a thread of its own.

The event loop may be busy for longer than a place may be silent, folding or comparing a million
kernels, and is not dead for that. A process that is stopped stops with all its threads.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import asyncpg

from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres, server_settings
from shared.eventlog.sole_lock import TRY_INTERVAL_S, SoleLock
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger

log = get_logger(__name__)

STALL_MAX_S: Final = 30.0
_WATCH_S: Final = 1.0
_JOIN_S: Final = 5.0


class Place:
    """Takes a `SoleLock` and keeps it, and takes it again when it was lost, until `close`.

    `changed` is called on the event loop of who made this, each time it is won or lost. The owner
    calls `alive` now and then: who is silent for `STALL_MAX_S` gives the place up. `times` is how
    often the place was won; in between somebody else may have had it.
    """

    def __init__(
        self, url: str, lock_class: int, name: str, *, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._url = url
        self._class = lock_class
        self._name = name
        self._clock = clock
        self._changed = changed
        self._owner = asyncio.get_running_loop()
        self._heard_at = clock.monotonic()
        self.times = 0
        self._failure: Exception | None = None
        self._lock: SoleLock | None = None
        self._inner: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="place", daemon=True)
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Tell whether the place was won and has not been found lost."""
        return self._lock is not None

    @property
    def is_sure(self) -> bool:
        """Tell whether nobody else can have the place at this moment."""
        lock = self._lock
        return lock is not None and self._clock.monotonic() < lock.sure_until

    def alive(self) -> None:
        """Say that the event loop turns."""
        self._heard_at = self._clock.monotonic()

    async def close(self) -> None:
        """Give the place up, at once for whoever waits for it."""
        self._closed.set()
        if self._inner is not None:
            with suppress(RuntimeError):  # its loop has ended already
                self._inner.call_soon_threadsafe(self._end)
        await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _end(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def check(self) -> None:
        """Raise what has ended the thread, if anything has: nothing holds the place any more."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._hold_on())
        except asyncio.CancelledError:
            return
        except Exception as problem:  # raised again where somebody hears of it
            log.exception("place_given_up")
            self._failure = problem

    async def _hold_on(self) -> None:
        self._inner, self._work = asyncio.get_running_loop(), asyncio.current_task()
        while not self._closed.is_set():
            try:
                await self._hold()
            except LogUnavailable as problem:
                log.warning("place_not_held", problem=str(problem))
                await asyncio.sleep(TRY_INTERVAL_S)

    async def _hold(self) -> None:
        with reaching_postgres():
            connection = await asyncpg.connect(
                self._url, server_settings=server_settings(self._name)
            )
        try:
            lock = SoleLock(connection, self._class, self._name, self._clock)
            await lock.take()
            self.times += 1
            self._set(lock)
            async with asyncio.TaskGroup() as both:
                both.create_task(lock.keep())
                both.create_task(self._watch())
        except* LogUnavailable as problems:
            raise problems.exceptions[0] from problems
        finally:
            self._set(None)
            connection.terminate()

    async def _watch(self) -> None:
        """Raise LogUnavailable when the owner's event loop stands still: it will not tell."""
        self.alive()
        while self._clock.monotonic() - self._heard_at < STALL_MAX_S:  # noqa: ASYNC110  # see above
            await asyncio.sleep(_WATCH_S)
        raise LogUnavailable(f"the event loop has stood still for {STALL_MAX_S:.0f} s")

    def _set(self, lock: SoleLock | None) -> None:
        if lock is self._lock:
            return
        self._lock = lock
        with suppress(RuntimeError):  # the owner's loop has ended
            self._owner.call_soon_threadsafe(self._changed)
