"""A process runtime on this machine, as strong as the machine allows."""

from collections.abc import AsyncIterator
from pathlib import Path

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
