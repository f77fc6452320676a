"""A process runtime on this machine, as strong as the machine allows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.testing.servers import NatsServer
from tests.agents.integration.bench import Bench, open_bench
from tests.agents.integration.site import Site, open_site


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path / "kernels") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def site(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Site]:
    """A node that is not started yet."""
    async with open_site(nats_server.url, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node that runs for a whole file of tests."""
    server = NatsServer()
    await server.start()
    try:
        async with open_site(server.url, tmp_path_factory.mktemp("node")) as made:
            await made.start()
            await made.until(lambda: made.beats)
            yield made
    finally:
        await server.remove()
