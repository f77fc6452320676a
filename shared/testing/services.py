"""One service as its own process, as the supervisor runs it, for tests of the real path."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ServiceDied(AssertionError):  # noqa: N818  # reads as what happened
    """The process ended instead of doing what was waited for; the message holds its lines."""


class ServiceProcess:
    """`python -m services.<name>` with its log lines; `output` keeps everything it has said."""

    def __init__(self, service: str, environ: Mapping[str, str]) -> None:
        self.service = service
        self.environ = {"QM_HTTP_PORT": "0", "QM_LOG_LEVEL": "debug", **environ}
        self.output = ""
        self.http_port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._seen = 0

    async def start(self) -> "ServiceProcess":
        """Start it and wait until it takes commands."""
        await self.spawn()
        ready = await self.wait_for("ready")
        self.http_port = int(ready["http_port"])
        return self

    async def spawn(self) -> None:
        """Start it without waiting for anything."""
        self._seen = len(self.output)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{self.service}",
            cwd=ROOT,
            env={**os.environ, **self.environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def wait_for(self, event: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait for a log line with this event since the start, and return it."""
        async with asyncio.timeout(timeout_s), self._news:
            while True:
                for line in self.output[self._seen :].splitlines():
                    found = _parse(line)
                    if found.get("event") == event:
                        return found
                if self._reader is None or self._reader.done():
                    raise ServiceDied(f"no {event!r} from {self.service}:\n{self.output[-4000:]}")
                await self._news.wait()

    async def wait_ended(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        if self._process is None or self._reader is None:
            raise ServiceDied(f"{self.service} was not started")
        async with asyncio.timeout(START_TIMEOUT_S):
            status = await self._process.wait()
            await self._reader
        return status

    async def stop(self) -> int:
        """Stop it as the supervisor does; kill it when it does not. Returns its exit status."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
        return await self._end(self._process)

    async def kill(self) -> None:
        """Kill -9 it and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._end(self._process)

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            status = await process.wait()
        if self._reader is not None:
            await self._reader
        self._process = None
        return status

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        try:
            async for line in process.stdout:
                async with self._news:
                    self.output += line.decode(errors="replace")
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()


def _parse(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
