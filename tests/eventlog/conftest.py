"""A log of the users service on a real Postgres, and what the tests write to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest_asyncio
from nats.aio.client import Client

from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Appended, Write
from shared.messaging import connection
from shared.testing.servers import Databases, NatsServer, PostgresServer

AS_NEW = """
    truncate events, commands_done, claims, epochs, snapshots, timers, checkpoints;
    delete from log_head;
    insert into log_head (position, hash, recorded_at)
        values (0, decode(repeat('00', 32), 'hex'), 'epoch');
"""
META = Meta(actor=Actor(kind="service", id="tests"), correlation_id="c-1")


def created(name: str, description: str = "") -> DomainCreated:
    return DomainCreated(name=name, description=description)


def write(name: str, version: int | None = None, count: int = 1) -> Write:
    return Write(f"domain-{name}", version, [created(name, str(n)) for n in range(count)])


async def append(log: EventLog, name: str, count: int = 1) -> Appended:
    return await log.append([write(name, count=count)], META)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres_server: PostgresServer) -> AsyncIterator[tuple[str, str]]:
    """Give the service's and the administrator's address of one database for a whole file."""
    databases = Databases(postgres_server)
    url = await databases.database("users")
    yield url, databases.as_admin(url)
    await databases.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def admin(database: tuple[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """Give a log that is as new, and someone who may do to it what its service may not."""
    connection = await asyncpg.connect(database[1], server_settings={"search_path": "users"})
    await connection.execute(AS_NEW)
    yield connection
    connection.terminate()


@pytest_asyncio.fixture(loop_scope="session")
async def url(database: tuple[str, str], admin: asyncpg.Connection) -> str:
    assert not admin.is_closed()
    return database[0]


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
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await client.close()
