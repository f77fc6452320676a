"""A guardian keeps its process running and says how it is."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.embedded.child import Child, Program
from deploy.embedded.guardian import Guardian
from deploy.embedded.state import StateFile


class Part:
    """A shell script that is started each time."""

    def __init__(self, script: str) -> None:
        self._program = Program(name="part", argv=["/bin/sh", "-c", script])
        self.child: Child | None = None
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1
        self.child = Child(self._program)
        self.child.start()

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()


class Told(StateFile):
    """Wakes the test at each change."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, {"endpoint": "http://127.0.0.1:1"})
        self.news = asyncio.Event()

    def changed(self) -> None:
        super().changed()
        self.news.set()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not what():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def state(tmp_path: Path):
    return Told(tmp_path / "state.json")


def read(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "state.json").read_text())


async def stop(guardian: Guardian, life: asyncio.Task[None]) -> None:
    life.cancel()
    await asyncio.wait({life})
    await guardian.stop()


async def test_a_killed_process_is_replaced_and_the_death_is_told(tmp_path: Path, state):
    part = Part("sleep 1000")
    guardian = Guardian("part", part, state)
    life = asyncio.create_task(guardian.run())
    await asyncio.wait_for(guardian.first_ready.wait(), 10)
    assert read(tmp_path)["state"] == "ready"
    first = part.child.pid
    os.kill(first, signal.SIGKILL)
    await state.until(lambda: read(tmp_path)["processes"]["part"]["restarts"] == 1)
    await state.until(lambda: read(tmp_path)["processes"]["part"]["state"] == "running")
    told = read(tmp_path)["processes"]["part"]
    assert told["pid"] == part.child.pid != first
    assert told["last_exit"] == "ended with signal SIGKILL"
    await stop(guardian, life)
    assert read(tmp_path)["processes"]["part"]["state"] == "stopped"
    assert not part.child.running


async def test_a_process_that_cannot_run_is_tried_again_ever_more_seldom(tmp_path: Path, state):
    part = Part("echo no disk; exit 1")
    guardian = Guardian("part", part, state)
    life = asyncio.create_task(guardian.run())
    await state.until(lambda: part.starts == 4)
    assert guardian.pause_s(4) > guardian.pause_s(2)
    assert guardian.pause_s(50) <= 15 * 1.25
    assert read(tmp_path)["state"] == "starting"
    await stop(guardian, life)


async def test_it_counts_as_running_only_when_it_is_ready(tmp_path: Path, state):
    answer = asyncio.Event()

    async def ready() -> bool:
        await answer.wait()
        return True

    check: Callable[[], Awaitable[bool]] = ready
    guardian = Guardian("part", Part("sleep 1000"), state, ready=check, http_port=8)
    life = asyncio.create_task(guardian.run())
    await state.until(lambda: guardian.has_process)
    assert read(tmp_path)["processes"]["part"]["state"] == "starting"
    answer.set()
    await state.until(lambda: read(tmp_path)["processes"]["part"]["state"] == "running")
    assert read(tmp_path)["processes"]["part"]["http_port"] == 8
    await stop(guardian, life)
