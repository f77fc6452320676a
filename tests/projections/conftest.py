"""Two services with logs and relays, and the database of a reader."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest_asyncio
from nats.aio.client import Client

from shared.contracts.base import Actor, Meta
from shared.contracts.policies import PresetDefined
from shared.contracts.users import DomainCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Write
from shared.eventlog.relay import Relay
from shared.kernel.cancelling import cancel
from shared.messaging import connection
from shared.projections.projection import Projection
from shared.projections.runner import ProjectionRunner
from shared.testing.servers import Databases, NatsServer

DEADLINE_S = 60.0
META = Meta(actor=Actor(kind="service", id="tests"), correlation_id="c-1")


class Bench:
    """What the tests of projections work with."""

    def __init__(
        self, users: EventLog, policies: EventLog, pool: asyncpg.Pool, nats: Client, url: str
    ) -> None:
        self.users = users
        self.policies = policies
        self.pool = pool
        self.nats = nats
        self.url = url

    async def domains(self, *names: str) -> int:
        """Append a DomainCreated for each name, in one go; returns the last position."""
        writes = [Write(f"domain-{name}", None, (DomainCreated(name=name),)) for name in names]
        return (await self.users.append(writes, META)).last

    async def preset(self, name: str) -> int:
        """Append one event to the other log."""
        event = PresetDefined(preset_id=name, name=name, resource_slots={})
        return (await self.policies.append([Write(f"preset-{name}", None, (event,))], META)).last

    async def rows(self, source: str = "users", name: str = "journal") -> list[int]:
        """Return the positions that are shown, in the order in which they were written."""
        found = await self.pool.fetch(
            f"select position from {name} where source = $1 order by row", source
        )
        return [row["position"] for row in found]

    @asynccontextmanager
    async def running(
        self, *projections: Projection, pool: asyncpg.Pool | None = None
    ) -> AsyncIterator[ProjectionRunner]:
        """Run projections inside the block, as a process of their own would."""
        runner = ProjectionRunner(pool or self.pool, self.nats, projections)
        await runner.prepare()
        async with background(runner.run()):
            yield runner


@asynccontextmanager
async def background(*work) -> AsyncIterator[Sequence[asyncio.Task]]:
    """Run coroutines inside the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        assert not await cancel(tasks, DEADLINE_S)
        for task in tasks:
            if not task.cancelled():
                task.result()


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(postgres: Databases, nats: Client) -> AsyncIterator[Bench]:
    urls = await postgres.shared_by("users", "policies", "gateway")
    async with AsyncExitStack() as stack:

        async def pool(service: str) -> asyncpg.Pool:
            opened = await open_pool(urls[service], name=service)
            stack.callback(opened.terminate)
            return opened

        users = EventLog(await pool("users"), codec_for("users"))
        policies = EventLog(await pool("policies"), codec_for("policies"))
        relays = [Relay(log, nats).run() for log in (users, policies)]
        await stack.enter_async_context(background(*relays))
        yield Bench(users, policies, await pool("gateway"), nats, urls["gateway"])
