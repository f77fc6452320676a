"""Who writes when: one append at a time from this process, those that wait together as one commit.

Appends from one process would only queue for the head row inside Postgres, each with a
connection; here they queue without one. Whoever waits while a commit is under way shares the
next: the cost that dominates an append, the commit, is then paid once for all of them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg

from shared.eventlog.appending import APPEND, Batch, answered
from shared.eventlog.outcomes import AppendRefusedError, LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Appended

Within = Callable[[Any], Awaitable[None]]
Listener = Callable[[Appended], None]

WAITING_MAX: Final = 4096
TOGETHER_MAX: Final = 64


class Pending:
    """An append that waits for its turn."""

    def __init__(self, batch: Batch, arguments: tuple[object, ...], within: Within | None) -> None:
        self.batch = batch
        self.arguments = arguments
        self.within = within
        self.outcome: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()

    def fail(self, problem: BaseException) -> None:
        """Tell the caller, if it is still there, that nothing came of it."""
        if not self.outcome.done():
            self.outcome.set_exception(problem)


class Writer:
    """Runs the appends of one process, in the order in which they came."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: deque[Pending] = deque()
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []

    def on_append(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each commit, in the order of positions; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def append(self, pending: Pending) -> Appended:
        """Take an append into the line and wait for what becomes of it.

        Raises LogUnavailable at once when the line is full.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise LogUnavailable("too many appends are waiting already")
        self._waiting.append(pending)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await pending.outcome

    async def _work(self) -> None:
        """Write until nobody waits; every append taken from the line gets an outcome."""
        taken: list[Pending] = []
        try:
            while taken := self._take():
                await self._write(taken)
        except BaseException as problem:
            for pending in (*taken, *self._waiting):
                pending.fail(LogUnavailable(f"writing was stopped: {type(problem).__name__}"))
            self._waiting.clear()
            raise
        finally:
            self._task = None

    def _take(self) -> list[Pending]:
        """Take the next appends that can share a commit; one with `within` goes alone."""
        taken: list[Pending] = []
        while self._waiting and len(taken) < TOGETHER_MAX:
            if taken and self._waiting[0].within is not None:
                break
            pending = self._waiting.popleft()
            if pending.outcome.done():  # its caller has gone
                continue
            taken.append(pending)
            if pending.within is not None:
                break
        return taken

    async def _write(self, taken: Sequence[Pending]) -> None:
        if len(taken) > 1:
            try:
                with reaching_postgres():
                    rows = await self._together(taken)
            except LogUnavailable as problem:
                for pending in taken:
                    pending.fail(problem)
                return
            except (asyncpg.PostgresError, ValueError, TypeError):
                pass  # one of them is at fault: alone, it fails alone
            else:
                for pending, row in zip(taken, rows, strict=True):
                    self._settle(pending, row)
                return
        for pending in taken:
            await self._alone(pending)

    async def _together(self, taken: Sequence[Pending]) -> list[asyncpg.Record | None]:
        async with self._pool.acquire() as connection, connection.transaction():
            # a refusal has written nothing, so it does not disturb the others
            return [await connection.fetchrow(APPEND, *pending.arguments) for pending in taken]

    async def _alone(self, pending: Pending) -> None:
        try:
            with reaching_postgres():
                if pending.within is None:
                    row = await self._pool.fetchrow(APPEND, *pending.arguments)
                else:
                    async with self._pool.acquire() as connection, connection.transaction():
                        await pending.within(connection)
                        row = answered(await connection.fetchrow(APPEND, *pending.arguments))
        except Exception as problem:  # noqa: BLE001  # handed to the caller, whatever it is
            pending.fail(problem)
        else:
            self._settle(pending, row)

    def _settle(self, pending: Pending, row: asyncpg.Record | None) -> None:
        """Tell listeners and caller; only now, after the commit, is an answer true."""
        try:
            found = answered(row)
        except AppendRefusedError as refused:
            pending.fail(refused)
            return
        appended = pending.batch.appended(found["base"], found["versions"], found["recorded"])
        if appended.recorded:
            for listener in tuple(self._listeners):
                listener(appended)
        if not pending.outcome.done():
            pending.outcome.set_result(appended)
