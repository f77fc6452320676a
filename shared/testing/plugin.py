"""Fixtures that every service's tests use; `tests/conftest.py` loads this module."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port as pick_free_port
from shared.testing.clock import FakeClock
from shared.testing.servers import Databases, NatsServer, PostgresServer


@pytest.fixture(scope="session", autouse=True)
def no_database_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the databases of installations below pytest's own directory, which only root enters.

    They lie elsewhere (see `private_directory`), so pytest's clean-up would only remove the link.
    """
    yield
    for pattern in ("*/postgres", "*/*/postgres"):
        for link in tmp_path_factory.getbasetemp().glob(pattern):
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)


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
