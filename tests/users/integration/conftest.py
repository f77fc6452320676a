"""One users service for each file of tests, with the policies service beside it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from shared.messaging.commands import CommandClient
from shared.messaging.connection import connect
from shared.messaging.queries import QueryClient
from shared.security.sealing import Keyring
from shared.testing.servers import Databases, NatsServer, PostgresServer
from shared.testing.services import ServiceProcess
from tests.users.integration.harness import ADMIN, Ground, Users


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    files: Path = tmp_path_factory.mktemp("users")
    Keyring.generate().save(files / "master.json")
    keyring = Keyring.load(files / "master.json")
    (files / "admin-credentials.json").write_text(json.dumps(ADMIN))
    databases, server = Databases(postgres_server), NatsServer()
    await server.start()
    urls = await databases.shared_by("users", "policies")
    common = {
        "QM_NATS_URL": server.url,
        "QM_MASTER_KEY_FILE": str(files / "master.json"),
        "QM_BOOTSTRAP_FILE": str(files / "admin-credentials.json"),
        "QM_PASSWORD_MEMORY_KIB": "64",
        "QM_PASSWORD_PASSES": "1",
        "QM_PASSWORD_LANES": "1",
    }
    policies = ServiceProcess("policies", {**common, "QM_DATABASE_URL": urls["policies"]})
    await policies.start()
    client = await connect(server.url, "tester")
    environ = {**common, "QM_DATABASE_URL": urls["users"]}
    yield Ground(policies, environ, keyring, databases.as_admin(urls["users"]), client)
    await client.close()
    await policies.stop()
    await server.remove()
    await databases.drop_all()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def users(ground: Ground) -> AsyncIterator[Users]:
    database = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    service = ServiceProcess("users", ground.environ)
    await service.start()
    yield Users(
        service,
        ground.keyring,
        database,
        CommandClient(ground.nats, "gateway"),
        QueryClient(ground.nats),
    )
    await service.stop()
    await database.close()
