"""Whatever step the daemon dies at, however often: a command runs once, or never if stopped."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.agents.node.domain.kernel import ENDED, Unnamed
from services.agents.node.jobs import make_job
from services.agents.node.journal import Journal
from services.agents.node.worker import KernelWorker
from shared.contracts.kernels import KernelReport, KernelSpec
from shared.testing.clock import FakeClock
from tests.agents.unit.simulated_host import Crash, CrashingJournal, Host, SimulatedRuntime

DEADLINE_S = 20
RUN = KernelSpec(
    session_id="s",
    kernel_id="k",
    attempt=1,
    epoch=1,
    goal="running",
    session_type="batch",
    session_name="work",
    image="local/host:latest",
    hostname="main1",
    command=("true",),
    environ=None,
    resources={},
)
STOP = msgspec.structs.replace(RUN, goal="stopped", forced=True)
CRASHES = st.lists(st.integers(0, 30), max_size=12)
DELAYS = st.lists(st.booleans(), max_size=8)
SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Daemon:
    """One life of a daemon; its reports are accepted as soon as the kernel has ended."""

    def __init__(self, journal: Journal, host: Host, told: list[KernelReport]) -> None:
        self._journal = journal
        self._told = told
        self._ended = asyncio.Event()
        self.worker = KernelWorker(
            "k",
            journal=journal,
            runtime=SimulatedRuntime(host),
            make_job=lambda record: make_job(
                record.spec, record.user_index, 100, lambda *_: {}, lambda *_: ()
            ),
            clock=FakeClock(),
            launches=asyncio.Semaphore(1),
            on_change=self._look,
        )

    def _look(self) -> None:
        presence = self.worker.presence()
        if presence is not None and presence.phase in ENDED:
            self._ended.set()

    async def live(self, wish: KernelSpec) -> None:
        """Serve the kernel until it is forgotten; raises `Crash`."""
        self.worker.steer(wish)
        serving = asyncio.create_task(self.worker.run())
        settling = asyncio.create_task(self._settle())
        try:
            async with asyncio.timeout(DEADLINE_S):
                done, _ = await asyncio.wait(
                    (serving, settling), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                await serving
        finally:
            for task in (serving, settling):
                task.cancel()
            await asyncio.gather(serving, settling, return_exceptions=True)

    async def _settle(self) -> None:
        await self.worker.load()
        self._look()
        await self._ended.wait()
        waiting = await self._journal.waiting(100)
        for one in waiting:
            if one.report not in self._told:
                self._told.append(one.report)
        await self._journal.accepted([one.number for one in waiting])
        self.worker.steer(Unnamed())


async def live_on(
    folder: Path, host: Host, wishes: list[KernelSpec]
) -> tuple[list[KernelReport], int]:
    """Start daemons until one has brought the kernel to its end; return reports and deaths."""
    told: list[KernelReport] = []
    deaths = 0
    while True:
        journal = CrashingJournal(folder / "journal", host)
        await journal.open()
        try:
            wish = wishes[min(deaths, len(wishes) - 1)]
            await Daemon(journal, host, told).live(wish)
        except Crash:
            deaths += 1
            continue
        finally:
            await journal.close()
        return told, deaths


def check(host: Host, wishes: list[KernelSpec]) -> list[KernelReport]:
    with tempfile.TemporaryDirectory() as folder:
        told, _ = asyncio.run(live_on(Path(folder), host, wishes))
    runs = host.runs
    while host.late:
        host.let_keeper_go()
    assert host.runs == runs, "a late keeper ran a command that had been told to have ended"
    assert runs <= 1
    return told


@SETTINGS
@given(CRASHES, DELAYS)
def test_a_command_runs_exactly_once_whenever_the_daemon_dies(crashes, delays):
    host = Host(crashes, delays)
    told = check(host, [RUN])
    assert host.runs == 1
    assert [report.phase for report in told] == ["preparing", "running", "terminated"]
    assert [report.sequence for report in told] == [1, 2, 3]
    assert told[-1].reason == "task-finished"


@SETTINGS
@given(CRASHES, DELAYS, st.integers(0, 5))
def test_a_command_that_is_stopped_meanwhile_runs_at_most_once_and_its_end_is_told(
    crashes, delays, stopped_at
):
    host = Host(crashes, delays)
    told = check(host, [RUN] * stopped_at + [STOP])
    assert told[-1].phase == "terminated"
    assert [report.sequence for report in told] == list(range(1, len(told) + 1))
    if host.runs == 0:
        assert told[-1].exit_code is None
