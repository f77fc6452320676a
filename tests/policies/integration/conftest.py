"""A policies service of its own for each test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from shared.testing.servers import Databases, NatsServer
from shared.testing.services import ServiceProcess


@pytest_asyncio.fixture(loop_scope="session")
async def policies(postgres: Databases, nats_server: NatsServer) -> AsyncIterator[ServiceProcess]:
    url = await postgres.database("policies")
    service = ServiceProcess("policies", {"QM_DATABASE_URL": url, "QM_NATS_URL": nats_server.url})
    yield service
    await service.stop()
