"""Durable timers: set in the transaction of what needs them, fired once they are due.

The queue sleeps until the next one is due and is woken when one is set. A timer is removed after
its handler has returned: a crash in between fires it again, so handlers take the same timer twice
as once (a process does, by the input's id).
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger

log = get_logger(__name__)

# The clock may be set forward: nobody tells, so no sleep is longer than this.
SLEEP_MAX_S: Final = 60.0
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 30.0
AWAY_PAUSE_S: Final = 1.0
BATCH: Final = 100

_SET: Final = """
    insert into timers (timer_id, due_at, kind, payload) values ($1, $2, $3, $4)
        on conflict (timer_id) do update
        set due_at = excluded.due_at, kind = excluded.kind, payload = excluded.payload
"""
_DUE: Final = """
    select timer_id, due_at, kind, payload from timers
        where due_at <= $1 and kind = any($2) and timer_id <> all($3)
        order by due_at, timer_id limit $4
"""
_NEXT: Final = "select min(due_at) from timers where kind = any($1) and timer_id <> all($2)"
_REMOVE: Final = "delete from timers where timer_id = $1"
# Not if the handler has set it anew meanwhile.
_REMOVE_FIRED: Final = "delete from timers where timer_id = $1 and due_at = $2"


class Timer(msgspec.Struct, frozen=True):
    """A message to oneself in the future; `kind` names the handler. Setting it again moves it."""

    timer_id: str
    due_at: datetime
    kind: str
    payload: dict[str, Any] = {}


Handler = Callable[[Timer], Awaitable[None]]


class TimerQueue:
    """The timers of one service, and the handlers of their kinds."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._handlers: dict[str, Handler] = {}
        self._changed = asyncio.Event()
        self._again_at: dict[str, float] = {}  # failed timers, by the monotonic clock
        self._pauses: dict[str, float] = {}

    def handle(self, kind: str, handler: Handler) -> None:
        """Let `handler` have the timers of one kind; only kinds with a handler are fired."""
        if kind in self._handlers:
            raise ValueError(f"timers of kind {kind} have a handler already")
        self._handlers[kind] = handler

    async def set(self, timer: Timer) -> None:
        """Set a timer, in a transaction of its own."""
        with reaching_postgres():
            await set_timer(self._pool, timer)
        self.wake()

    async def cancel(self, timer_id: str) -> None:
        """Remove a timer; no matter if there is none."""
        with reaching_postgres():
            await cancel_timer(self._pool, timer_id)

    def wake(self) -> None:
        """Look again now: a transaction that set a timer has been committed, or time has moved."""
        self._changed.set()

    async def run(self) -> None:
        """Fire timers until cancelled; one whose handler fails is tried again, ever more seldom."""
        while True:
            self._changed.clear()
            try:
                while await self._fire_due():
                    pass
                sleep_s = await self._until_next_s()
            except LogUnavailable as problem:
                log.warning("timers_wait", problem=str(problem))
                sleep_s = AWAY_PAUSE_S
            await self._sleep(sleep_s)

    async def _fire_due(self) -> int:
        """Fire what is due, the longest overdue first; returns how many were looked at."""
        now = self._clock.monotonic()
        self._again_at = {name: at for name, at in self._again_at.items() if at > now}
        with reaching_postgres():
            rows = await self._pool.fetch(
                _DUE, self._clock.now(), list(self._handlers), list(self._again_at), BATCH
            )
        for row in rows:
            await self._fire(Timer(row[0], row[1], row[2], msgspec.json.decode(row[3])))
        return len(rows)

    async def _fire(self, timer: Timer) -> None:
        try:
            await self._handlers[timer.kind](timer)
        except Exception:  # a handler's fault, or a part that is away: the timer stays
            pause_s = self._pauses[timer.timer_id] = min(
                2 * self._pauses.get(timer.timer_id, RETRY_MIN_S / 2), RETRY_MAX_S
            )
            self._again_at[timer.timer_id] = self._clock.monotonic() + pause_s
            log.exception("timer_failed", timer=timer.timer_id, retry_in_s=pause_s)
            return
        self._pauses.pop(timer.timer_id, None)
        with reaching_postgres():
            await self._pool.execute(_REMOVE_FIRED, timer.timer_id, timer.due_at)

    async def _until_next_s(self) -> float:
        with reaching_postgres():
            due_at: datetime | None = await self._pool.fetchval(
                _NEXT, list(self._handlers), list(self._again_at)
            )
        waits_s = [SLEEP_MAX_S]
        if due_at is not None:
            waits_s.append((due_at - self._clock.now()).total_seconds())
        now = self._clock.monotonic()
        waits_s += [at - now for at in self._again_at.values()]
        return max(0.0, min(waits_s))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


async def set_timer(connection: Any, timer: Timer) -> None:
    """Set a timer in the transaction of `connection`; wake the queue once that is committed."""
    payload = msgspec.json.encode(timer.payload).decode()
    await connection.execute(_SET, timer.timer_id, timer.due_at, timer.kind, payload)


async def cancel_timer(connection: Any, timer_id: str) -> None:
    """Remove a timer in the transaction of `connection`."""
    await connection.execute(_REMOVE, timer_id)
