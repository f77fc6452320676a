"""Fixtures that every service's tests use; `tests/conftest.py` loads this module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port as pick_free_port
from shared.testing.clock import FakeClock
from shared.testing.servers import Databases, NatsServer, PostgresServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """Give one Postgres for the whole run; tests ask for `postgres` and get databases of it."""
    server = PostgresServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def postgres(postgres_server: PostgresServer) -> AsyncIterator[Databases]:
    """Give databases: `await postgres.database("users")` is the service's address of a new one."""
    databases = Databases(postgres_server)
    try:
        yield databases
    finally:
        await databases.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def nats_server() -> AsyncIterator[NatsServer]:
    """Give a NATS server with JetStream that only this test uses."""
    server = NatsServer()
    await server.start()
    try:
        yield server
    finally:
        await server.remove()


@pytest.fixture
def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on."""
    return pick_free_port()


@pytest.fixture
def fake_clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()
