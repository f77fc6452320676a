"""A log with room for processes, opened anew as often as a test restarts its service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest_asyncio

from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from shared.testing.servers import Databases, PostgresServer
from tests.eventlog.conftest import AS_NEW
from tests.processes.transfer import CODEC

OpenLog = Callable[[], Awaitable[EventLog]]


async def found(log: EventLog, question: str, answer: int) -> None:
    """Wait until a query has one number for its answer."""

    async def is_found() -> bool:
        return bool(await log.pool.fetchval(question) == answer)

    await eventually(is_found)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_server: PostgresServer) -> AsyncIterator[tuple[str, str]]:
    """Give the service's and the administrator's address of one database for a whole file."""
    databases = Databases(postgres_server)
    url = await databases.database("users")
    yield url, databases.as_admin(url)
    await databases.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def open_log(database: tuple[str, str], fake_clock: FakeClock) -> AsyncIterator[OpenLog]:
    url, admin_url = database
    admin = await asyncpg.connect(admin_url, server_settings={"search_path": "users"})
    await admin.execute(AS_NEW)
    await admin.close()
    async with AsyncExitStack() as stack:

        async def another() -> EventLog:
            pool = await open_pool(url, name="tests", max_size=4)
            stack.callback(pool.terminate)
            return EventLog(pool, CODEC, fake_clock)

        yield another


@pytest_asyncio.fixture(loop_scope="session")
async def log(open_log: OpenLog) -> EventLog:
    return await open_log()
