"""Real kernels for tests: made, run to their end, looked at, cleaned away."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from services.agents.node.cgroups.detect import detect
from services.agents.node.cgroups.driver import CgroupDriver, Limits, signal_all
from services.agents.node.process.runtime import HOST_IMAGE, ProcessOptions, ProcessRuntime
from services.agents.node.runtime import (
    Exit,
    KernelJob,
    KernelKey,
    Observation,
    RuntimeProfile,
)

DEADLINE_S = 30
ROOMY = Limits(cpu_millis=1000, memory_bytes=2**28, pids=100)


def job(command: str, *, kernel: str = "k", attempt: int = 1, **fields: Any) -> KernelJob:
    """Return a job that runs a shell script."""
    made = KernelJob(
        key=KernelKey(kernel, attempt),
        session_id="s",
        image=HOST_IMAGE,
        hostname="main1",
        argv=("sh", "-c", command),
        environ={"GREETING": "hello"},
        limits=ROOMY,
    )
    return msgspec.structs.replace(made, **fields)


class Bench:
    """A process runtime of a test's own."""

    def __init__(self, runtime: ProcessRuntime, groups: CgroupDriver | None) -> None:
        self.runtime = runtime
        self.groups = groups
        self.profile: RuntimeProfile | None = None

    async def launch(self, made: KernelJob, number: int = 1) -> Observation:
        """Start a kernel and return what is seen once it has begun, or could not."""
        await self.runtime.prepare(made)
        await self.runtime.start(made, number)
        async with asyncio.timeout(DEADLINE_S):
            return await self.runtime.wait_change(made.key, "starting")

    async def end_of(self, key: KernelKey) -> Observation:
        """Wait until a running kernel does not run any more."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.runtime.wait_change(key, "running")

    async def run(self, made: KernelJob) -> Exit:
        """Run a kernel to its end and free what it held; its folder stays."""
        seen = await self.launch(made)
        if seen.presence == "running":
            seen = await self.end_of(made.key)
        assert seen.presence == "ended", seen
        assert seen.exit is not None
        await self.runtime.collect(made.key)
        return seen.exit

    def log(self, made: KernelJob) -> str:
        """Return a kernel's whole log."""
        return self.runtime.log_path(made.key).read_text(encoding="utf-8", errors="replace")

    async def log_line(self, made: KernelJob, text: str) -> None:
        """Wait until a text is in a kernel's log."""
        from services.agents.node.inotify import FolderChanges

        path = self.runtime.log_path(made.key)
        changes = FolderChanges()
        try:
            with changes.watch(path.parent) as changed:
                async with asyncio.timeout(DEADLINE_S):
                    while text not in path.read_text():
                        await changed.wait()
                        changed.clear()
        finally:
            changes.close()


def begun_in(folder: Path) -> list[KernelKey]:
    """Return the attempts of a data folder that have begun."""
    begun = folder.glob("*/*/started.json")
    return [KernelKey(path.parent.parent.name, int(path.parent.name)) for path in begun]


@asynccontextmanager
async def open_bench(folder: Path, *, grouped: bool = True, **options: Any) -> AsyncIterator[Bench]:
    """Give a runtime below `folder`; in the end nothing of it may be left running."""
    groups, note = detect(f"quartermaster-test-{secrets.token_hex(6)}") if grouped else (None, "")
    bench = Bench(ProcessRuntime(folder, groups, ProcessOptions(**options), note), groups)
    bench.profile = await bench.runtime.open()
    try:
        yield bench
    finally:
        for key in begun_in(folder):
            await bench.runtime.stop(key, force=True)
            await bench.runtime.collect(key)
        await bench.runtime.close()
        if groups is not None:
            left = groups.names()
            for name in left:
                signal_all(groups.processes(name))
            assert not left, f"groups are left: {left}"
