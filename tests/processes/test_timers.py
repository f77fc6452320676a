"""Timers survive the process that set them and fire once, when they are due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import pytest

from shared.eventlog.log import EventLog
from shared.processes.timers import Timer, TimerQueue, set_timer
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from tests.processes.conftest import found


def timer(clock: FakeClock, name: str, in_s: float, **payload: str) -> Timer:
    return Timer(name, clock.now() + timedelta(seconds=in_s), "test", payload)


class Fired(list[Timer]):
    """A handler that notes what it gets."""

    async def __call__(self, fired: Timer) -> None:
        self.append(fired)

    @property
    def names(self) -> list[str]:
        return [fired.timer_id for fired in self]


@asynccontextmanager
async def running(queue: TimerQueue) -> AsyncIterator[TimerQueue]:
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def queue_with(log: EventLog, clock: FakeClock, fired: Fired) -> TimerQueue:
    queue = TimerQueue(log.pool, clock)
    queue.handle("test", fired)
    return queue


async def assert_left(log: EventLog, count: int) -> None:
    """A timer goes after its handler has returned; after a cancellation in between it stays."""
    await found(log, "select count(*) from timers", count)


async def test_timers_fire_in_the_order_in_which_they_are_due(log: EventLog, fake_clock: FakeClock):
    fired = Fired()
    async with running(queue_with(log, fake_clock, fired)) as queue:
        for name, in_s in (("c", 30), ("a", 10), ("b", 20), ("d", 40)):
            await queue.set(timer(fake_clock, name, in_s, n=name))
        fake_clock.advance(30)
        queue.wake()
        await eventually(lambda: len(fired) == 3)
        await assert_left(log, 1)
    assert fired.names == ["a", "b", "c"]
    assert fired[0].payload == {"n": "a"}


async def test_a_timer_that_came_due_while_nobody_ran_fires_once_after_the_restart(
    log: EventLog, fake_clock: FakeClock
):
    fired = Fired()
    await queue_with(log, fake_clock, fired).set(timer(fake_clock, "a", 10))
    fake_clock.advance(3600)
    for _restart in range(3):
        async with running(queue_with(log, fake_clock, fired)) as queue:
            mark = Fired()
            queue.handle("mark", mark)
            await queue.set(Timer("mark", fake_clock.now(), "mark"))
            await eventually(lambda: len(mark) == 1)  # noqa: B023  # waited for in this round
            await assert_left(log, 0)
    assert fired.names == ["a"]


async def test_a_real_clock_wakes_the_queue_by_itself(log: EventLog):
    from shared.kernel.clock import SystemClock

    clock, fired = SystemClock(), Fired()
    queue = TimerQueue(log.pool, clock)
    queue.handle("test", fired)
    async with running(queue):
        due_at = clock.now() + timedelta(seconds=0.2)
        await queue.set(Timer("a", due_at, "test"))
        await eventually(lambda: len(fired) == 1)
        assert clock.now() >= due_at


async def test_a_timer_can_be_moved_and_taken_back(log: EventLog, fake_clock: FakeClock):
    fired = Fired()
    async with running(queue_with(log, fake_clock, fired)) as queue:
        await queue.set(timer(fake_clock, "moved", 10))
        await queue.set(timer(fake_clock, "moved", 50))
        await queue.set(timer(fake_clock, "cancelled", 10))
        await queue.cancel("cancelled")
        await queue.set(timer(fake_clock, "kept", 10))
        fake_clock.advance(10)
        queue.wake()
        await eventually(lambda: bool(fired))
        assert fired.names == ["kept"]
        fake_clock.advance(40)
        queue.wake()
        await eventually(lambda: len(fired) == 2)
    assert fired.names == ["kept", "moved"]


async def test_a_handler_may_set_its_own_timer_again(log: EventLog, fake_clock: FakeClock):
    queue = TimerQueue(log.pool, fake_clock)
    ticks: list[Timer] = []

    async def tick(fired: Timer) -> None:
        ticks.append(fired)
        await queue.set(timer(fake_clock, "tick", 10))

    queue.handle("test", tick)
    async with running(queue):
        await queue.set(timer(fake_clock, "tick", 10))
        for number in range(1, 4):
            fake_clock.advance(10)
            queue.wake()
            await eventually(lambda: len(ticks) == number)  # noqa: B023  # waited for at once
        await assert_left(log, 1)


async def test_a_failing_handler_is_tried_again_and_does_not_hold_up_the_others(
    log: EventLog, fake_clock: FakeClock
):
    fired = Fired()
    broken = True

    async def handler(due: Timer) -> None:
        if due.timer_id == "bad" and broken:
            raise ZeroDivisionError
        fired.append(due)

    queue = TimerQueue(log.pool, fake_clock)
    queue.handle("test", handler)
    async with running(queue):
        await queue.set(timer(fake_clock, "bad", -10))
        await queue.set(timer(fake_clock, "good", 0))
        await eventually(lambda: fired.names == ["good"])
        broken = False
        fake_clock.advance(60)
        queue.wake()
        await eventually(lambda: fired.names == ["good", "bad"])
        await assert_left(log, 0)


async def test_a_timer_is_set_with_the_transaction_or_not_at_all(
    log: EventLog, fake_clock: FakeClock
):
    async def set_and_fail(connection: asyncpg.Connection) -> None:
        await set_timer(connection, timer(fake_clock, "a", 10))
        raise ZeroDivisionError

    async with log.pool.acquire() as connection:
        with suppress(ZeroDivisionError):
            async with connection.transaction():
                await set_and_fail(connection)
    await assert_left(log, 0)


async def test_timers_of_a_kind_that_nobody_handles_are_kept(log: EventLog, fake_clock: FakeClock):
    fired = Fired()
    async with running(queue_with(log, fake_clock, fired)) as queue:
        await queue.set(Timer("other", fake_clock.now(), "other"))
        await queue.set(timer(fake_clock, "a", 0))
        await eventually(lambda: fired.names == ["a"])
        await assert_left(log, 1)
    with pytest.raises(ValueError, match="already"):
        queue.handle("test", fired)
