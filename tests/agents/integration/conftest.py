"""A process runtime on this machine, as strong as the machine allows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.agents.integration.bench import Bench, open_bench


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path / "kernels") as made:
        yield made
