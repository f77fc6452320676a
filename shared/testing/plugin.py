"""Fixtures that every service's tests use; `tests/conftest.py` loads this module.

With several workers (`-n 2 --dist loadgroup`) a file stays on one worker, and all that starts
whole installations or a browser stays on the same one.
"""

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port as pick_free_port
from shared.testing.clock import FakeClock
from shared.testing.servers import Databases, NatsServer, PostgresServer

_HEAVY: Final = ("e2e", "faults", "console")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests belong on the same worker; xdist reads it afterwards."""
    for item in items:
        heavy = any(item.get_closest_marker(name) for name in _HEAVY)
        group = "installation" if heavy else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


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
