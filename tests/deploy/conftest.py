from collections.abc import AsyncIterator

import pytest_asyncio

from shared.testing.servers import PostgresServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_postgres() -> AsyncIterator[PostgresServer]:
    """A server whose roles nobody else uses: these tests change their passwords."""
    server = PostgresServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
