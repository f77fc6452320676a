"""A node's daemon as a process of its own, and a stand-in for the scheduler that it serves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.client import Client

from services.agents.node.cgroups.detect import detect
from services.agents.node.cgroups.driver import signal_all
from shared.contracts.agents import Heartbeat
from shared.contracts.base import Accepted
from shared.contracts.kernels import KernelLogPiece, KernelReport, KernelSpec, ReadKernelLog
from shared.contracts.scheduler import ReportKernels
from shared.contracts.subjects import all_heartbeats, node_log_subject
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging import telemetry
from shared.messaging.broker import make_broker
from shared.messaging.commands import CommandContext, CommandServer
from shared.messaging.connection import close, connect
from shared.messaging.desired_writer import DesiredLost, DesiredWriter
from shared.security.environ import seal_for_node
from shared.security.sealing import Keyring

AGENT = "node-a"
DEADLINE_S = 60
ROOT = Path(__file__).parents[3]


async def _nobody_else_leads() -> None:
    """A site has one writer."""


class Site:
    """One node and what it is told and tells."""

    def __init__(self, nats: Client, url: str, folder: Path, **settings: str) -> None:
        self.nats = nats
        self.desired = DesiredWriter(nats, 1)
        self.reports: dict[tuple[str, int], dict[int, KernelReport]] = {}
        self.deliveries = 0
        self.introductions = 0
        self.beats: list[Heartbeat] = []
        self.refusal: Rejection | None = None
        self.folder = folder
        self.keyring = Keyring.generate()
        self.key = self.keyring.node_key(AGENT)
        self.key.save(folder / "node.key")
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._environ = {
            **os.environ,
            "QM_NATS_URL": url,
            "QM_AGENT_ID": AGENT,
            "QM_AGENT_DATA": str(folder / "data"),
            "QM_NODE_KEY_FILE": str(folder / "node.key"),
            "QM_HEARTBEAT_INTERVAL_S": "1",
            **settings,
        }

    async def serve(self) -> None:
        """Listen to heartbeats and take reports."""
        await telemetry.subscribe(self.nats, all_heartbeats(), Heartbeat, self._hear)
        broker = make_broker(self.nats, "scheduler")
        CommandServer(broker, "scheduler").handle(ReportKernels, self._take)
        await broker.start()

    async def _hear(self, beat: Heartbeat) -> None:
        self.beats.append(beat)
        async with self._changed:
            self._changed.notify_all()

    async def _take(self, command: ReportKernels, _: CommandContext) -> Accepted | Rejection:
        if self.refusal is not None:
            return self.refusal
        if not command.reports:
            self.introductions += 1
        else:
            self.deliveries += 1
        for report in command.reports:
            known = self.reports.setdefault((report.kernel_id, report.attempt), {})
            # A repeated report must say the same.
            assert known.setdefault(report.sequence, report) == report
        async with self._changed:
            self._changed.notify_all()
        return Accepted(service="scheduler", position=1)

    async def until(self, what: Callable[[], Any]) -> Any:
        """Wait until `what` is true, looking after each word from the node; return it."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(what)
        return what()

    def last(self, kernel_id: str, attempt: int = 1) -> KernelReport | None:
        """Return the newest report of a kernel."""
        known = self.reports.get((kernel_id, attempt))
        return None if not known else known[max(known)]

    async def until_phase(self, kernel_id: str, phase: str, attempt: int = 1) -> KernelReport:
        """Wait until a kernel is reported to be in a phase."""

        def reached() -> KernelReport | None:
            last = self.last(kernel_id, attempt)
            return last if last is not None and last.phase == phase else None

        found: KernelReport = await self.until(reached)
        return found

    async def until_ended(self, kernel_id: str, attempt: int = 1) -> KernelReport:
        """Wait until a kernel is reported to have ended, either way."""

        def reached() -> KernelReport | None:
            last = self.last(kernel_id, attempt)
            return last if last is not None and last.phase in {"terminated", "failed"} else None

        found: KernelReport = await self.until(reached)
        return found

    def spec(
        self, command: str | None, *, environ: dict[str, str] | None = None, **fields: Any
    ) -> KernelSpec:
        """Return a wish to run a shell script, under a new kernel id."""
        kernel_id = fields.pop("kernel_id", None) or new_id()
        return msgspec.structs.replace(
            KernelSpec(
                session_id="s-1",
                kernel_id=kernel_id,
                attempt=1,
                epoch=1,
                goal="running",
                session_type="batch",
                session_name="work",
                image="local/host:latest",
                hostname="main1",
                command=None if command is None else ("sh", "-c", command),
                environ=seal_for_node(self.key, kernel_id, environ) if environ else None,
                resources={"cpu": 1000, "mem": 2**27},
            ),
            **fields,
        )

    async def until_seen(self, kernel_id: str, phase: str) -> None:
        """Wait for a heartbeat that knows a kernel in a phase."""
        await self.until(
            lambda: (
                self.beats
                and phase
                in [one.phase for one in self.beats[-1].kernels if one.kernel_id == kernel_id]
            )
        )

    async def want(self, *specs: KernelSpec, complete: bool = True) -> None:
        """Put wishes, and say that they are all there are."""
        await self._bring({(AGENT, spec.kernel_id): spec for spec in specs})
        if complete:
            await self.desired.mark_complete()

    async def forget(self, spec: KernelSpec) -> None:
        """Wish nothing of a kernel any more."""
        await self._bring({(AGENT, spec.kernel_id): None})

    async def stop_kernel(self, spec: KernelSpec, **fields: Any) -> None:
        """Wish a kernel gone."""
        wish = msgspec.structs.replace(spec, goal="stopped", **fields)
        await self._bring({(AGENT, spec.kernel_id): wish})

    async def _bring(self, wishes: dict[tuple[str, str], KernelSpec | None]) -> None:
        if not self.desired.has_taken:
            await self.desired.take(_nobody_else_leads)
        try:
            await self.desired.bring(wishes)
        except DesiredLost:
            await self.desired.take(_nobody_else_leads)
            await self.desired.bring(wishes)

    async def log(self, kernel_id: str, offset: int = 0, wait_s: float = 0.0) -> KernelLogPiece:
        """Ask the node for a piece of a kernel's log."""
        question = ReadKernelLog(kernel_id=kernel_id, offset=offset, wait_s=wait_s)
        answer = await self.nats.request(
            node_log_subject(AGENT), msgspec.json.encode(question), timeout=wait_s + 10
        )
        return msgspec.json.decode(answer.data, type=KernelLogPiece)

    async def start(self) -> None:
        """Start the daemon."""
        with (self.folder / "daemon.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.agents.node",
                cwd=ROOT,
                env=self._environ,
                stdout=output,
                stderr=output,
                stdin=asyncio.subprocess.DEVNULL,
            )

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End the daemon and return its exit status."""
        process, self._process = self._process, None
        assert process is not None
        if process.returncode is None:
            process.send_signal(how)
        async with asyncio.timeout(DEADLINE_S):
            return await process.wait()

    async def wait_exit(self) -> int:
        """Return the exit status of a daemon that ends by itself."""
        assert self._process is not None
        async with asyncio.timeout(DEADLINE_S):
            return await self._process.wait()

    async def restart(self) -> None:
        """Kill the daemon, as a machine would, and start another."""
        await self.end()
        await self.start()

    def output(self) -> str:
        """Return what the daemons have written."""
        path = self.folder / "daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def until_next_beat(self) -> Heartbeat:
        """Wait for a heartbeat that has not come yet."""
        seen = len(self.beats)
        await self.until(lambda: len(self.beats) > seen)
        return self.beats[-1]

    async def until_known(self, **phases: str) -> None:
        """Wait for a heartbeat that knows exactly these kernels in these phases."""
        await self.until(
            lambda: (
                self.beats
                and {one.kernel_id: one.phase for one in self.beats[-1].kernels} == phases
            )
        )

    def groups_left(self) -> tuple[str, ...]:
        """Return the control groups of this node that still exist."""
        if not self.beats:
            return ()
        groups, _ = detect(f"quartermaster-{self.beats[-1].incarnation[-12:]}")
        if groups is None:
            return ()
        names = groups.names()
        groups.close()
        return names

    def clean(self) -> tuple[str, ...]:
        """Kill what is left of this node and return what that was."""
        left = self.groups_left()
        if left:
            groups, _ = detect(f"quartermaster-{self.beats[-1].incarnation[-12:]}")
            assert groups is not None
            for name in left:
                signal_all(groups.processes(name))
                groups.kill(name)
                groups.remove(name)
            groups.close()
        return left

    async def abandon(self) -> None:
        """End the daemon if it still runs."""
        if self._process is not None:
            await self.end()


@asynccontextmanager
async def open_site(url: str, folder: Path, **settings: str) -> AsyncIterator[Site]:
    """Give a site whose daemon is not started yet; at the end nothing of it may be left."""
    nats = await connect(url, "test-site")
    site = Site(nats, url, folder, **settings)
    await site.serve()
    try:
        yield site
    finally:
        await site.abandon()
        left = await asyncio.to_thread(site.clean)
        await close(nats)
        # Shown by pytest when the test has failed.
        sys.stderr.write(site.output()[-4000:])
    assert not left, f"kernels were left behind: {left}"
