"""A policies service of its own for each test."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from shared.messaging.commands import CommandClient
from shared.messaging.connection import connect
from shared.testing.servers import Databases, NatsServer, PostgresServer
from shared.testing.services import ServiceProcess
from tests.policies.integration.harness import Policies


@pytest_asyncio.fixture(loop_scope="session")
async def policies(postgres: Databases, nats_server: NatsServer) -> AsyncIterator[ServiceProcess]:
    url = await postgres.database("policies")
    service = ServiceProcess("policies", {"QM_DATABASE_URL": url, "QM_NATS_URL": nats_server.url})
    yield service
    await service.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(postgres_server: PostgresServer) -> AsyncIterator[Policies]:
    """One running policies service for each file of tests."""
    databases, server = Databases(postgres_server), NatsServer()
    await server.start()
    url = await databases.database("policies")
    service = ServiceProcess("policies", {"QM_DATABASE_URL": url, "QM_NATS_URL": server.url})
    await service.start()
    client = await connect(server.url, "tester")
    admin_url = databases.as_admin(url)
    database = await asyncpg.connect(admin_url, server_settings={"search_path": "policies"})
    yield Policies(service, database, admin_url, client, CommandClient(client, "gateway"))
    await database.close()
    await client.close()
    await service.stop()
    await server.remove()
    await databases.drop_all()
