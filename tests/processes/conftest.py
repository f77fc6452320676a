"""A log with room for processes, opened anew as often as a test restarts its service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio

from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.testing.clock import FakeClock
from shared.testing.servers import Databases
from tests.processes.transfer import CODEC

DEADLINE_S = 20.0
OpenLog = Callable[[], Awaitable[EventLog]]


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something that nobody announces holds; fails at the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.005)


async def found(log: EventLog, question: str, answer: int) -> None:
    """Wait until a query has one number for its answer; fails at the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while await log.pool.fetchval(question) != answer:  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture(loop_scope="session")
async def open_log(postgres: Databases, fake_clock: FakeClock) -> AsyncIterator[OpenLog]:
    url = await postgres.database("users")
    async with AsyncExitStack() as stack:

        async def another() -> EventLog:
            pool = await open_pool(url, name="tests", max_size=4)
            stack.callback(pool.terminate)
            return EventLog(pool, CODEC, fake_clock)

        yield another


@pytest_asyncio.fixture(loop_scope="session")
async def log(open_log: OpenLog) -> EventLog:
    return await open_log()
