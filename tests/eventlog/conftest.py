"""A log of the users service on a real Postgres, and what the tests write to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest_asyncio

from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Appended, Write
from shared.testing.servers import Databases

META = Meta(actor=Actor(kind="service", id="tests"), correlation_id="c-1")


def created(name: str, description: str = "") -> DomainCreated:
    return DomainCreated(name=name, description=description)


def write(name: str, version: int | None = None, count: int = 1) -> Write:
    return Write(f"domain-{name}", version, [created(name, str(n)) for n in range(count)])


async def append(log: EventLog, name: str, count: int = 1) -> Appended:
    return await log.append([write(name, count=count)], META)


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres: Databases) -> str:
    return await postgres.database("users")


@pytest_asyncio.fixture(loop_scope="session")
async def open_log(url: str) -> AsyncIterator[Callable[[], Awaitable[EventLog]]]:
    """Open the same log again, as another process would: with its own connections and writer."""
    async with AsyncExitStack() as stack:

        async def another() -> EventLog:
            pool = await open_pool(url, name="tests")
            stack.callback(pool.terminate)
            return EventLog(pool, codec_for("users"))

        yield another


@pytest_asyncio.fixture(loop_scope="session")
async def log(open_log: Callable[[], Awaitable[EventLog]]) -> EventLog:
    return await open_log()


@pytest_asyncio.fixture(loop_scope="session")
async def admin(postgres: Databases, url: str) -> AsyncIterator[asyncpg.Connection]:
    """Someone who may do to the log what its service may not."""
    connection = await asyncpg.connect(
        postgres.as_admin(url), server_settings={"search_path": "users"}
    )
    yield connection
    connection.terminate()
