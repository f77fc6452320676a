"""A connection, a service that answers, and the commands the tests send to it."""

from collections.abc import AsyncIterator

import pytest_asyncio
from nats.aio.client import Client

from shared.contracts.base import Actor, Meta
from shared.messaging import connection
from shared.testing.servers import NatsServer

DEADLINE_S = 60.0
META = Meta(actor=Actor(kind="user", id="u-1"), correlation_id="c-1", causation_id="cause-1")


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await connection.close(client)
