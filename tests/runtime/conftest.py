"""A service as a real process, and what it says of itself."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.embedded.ports import free_port
from shared.contracts.base import Actor, Meta
from shared.testing.eventually import eventually

DEADLINE_S = 30.0
META = Meta(actor=Actor(kind="service", id="tests"), correlation_id="c-1")


class Running:
    """One process of the sample service; `lines` is its log so far."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.lines: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=DEADLINE_S
        )

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one kind."""
        return [line for line in self.lines if line["event"] == event]

    async def get(self, path: str) -> httpx.Response:
        """Ask its HTTP port, waiting for the port to open."""
        answers: list[httpx.Response] = []

        async def is_answered() -> bool:
            try:
                answers.append(await self._http.get(path))
            except httpx.ConnectError:
                assert self.process.returncode is None, self.lines
            return bool(answers)

        await eventually(is_answered, DEADLINE_S)
        return answers[0]

    async def ready(self) -> dict[str, Any]:
        """Wait until it is ready."""
        return await self.until(lambda report: report["status"] == "ok")

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until its readiness report is as wanted, and return that."""
        reports: list[dict[str, Any]] = []

        async def is_as_wanted() -> bool:
            reports.append((await self.get("/readyz")).json())
            return holds(reports[-1])

        try:
            await eventually(is_as_wanted, DEADLINE_S)
        except TimeoutError:
            raise AssertionError(reports[-1:]) from None
        return reports[-1]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        async with asyncio.timeout(DEADLINE_S):
            status = await self.process.wait()
            await self._reader
        return status

    async def close(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()
        await self._http.aclose()


@asynccontextmanager
async def started(**settings: str) -> AsyncIterator[Running]:
    """Run the sample service with these `QM_` settings inside the block."""
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("QM_")}
    environ |= {"QM_HTTP_PORT": str(port)} | {
        f"QM_{name.upper()}": value for name, value in settings.items()
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.runtime.sample_service",
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    running = Running(process, int(environ["QM_HTTP_PORT"]))
    try:
        yield running
    finally:
        await running.close()
