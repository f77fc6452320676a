"""Bounded work: so many at once, so many waiting, and a plain no to the rest."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from shared.kernel.cancelling import cancel

CANCEL_S: Final = 5.0

Job = Callable[[], Coroutine[Any, Any, None]]


class WorkQueue:
    """Runs jobs, `concurrency` at a time, with at most `limit` more in line.

    A job must answer for its own errors: what it raises reaches the loop's exception handler.
    """

    def __init__(self, concurrency: int, limit: int) -> None:
        self._concurrency = concurrency
        self._limit = limit
        self._waiting: deque[Job] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """How many jobs are in line."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    @property
    def is_full(self) -> bool:
        """Whether the next job would be turned away."""
        return len(self._running) >= self._concurrency and len(self._waiting) >= self._limit

    def offer(self, job: Job) -> bool:
        """Take a job, or return False at once when the line is full."""
        if len(self._running) < self._concurrency:
            self._start(job)
            return True
        if self.is_full:
            return False
        self._waiting.append(job)
        return True

    async def finish(self, timeout_s: float) -> list[Job]:
        """Wait until every job taken is done; after `timeout_s` cancel what runs.

        Returns the jobs that never had their turn.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            left = list(self._waiting)
            self._waiting.clear()
            await cancel(tuple(self._running), CANCEL_S)
            return left
        return []

    def _start(self, job: Job) -> None:
        self._idle.clear()
        task = asyncio.create_task(job())
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting:
            self._start(self._waiting.popleft())
        elif not self._running:
            self._idle.set()
