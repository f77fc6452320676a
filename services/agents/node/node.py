"""The node put together: what it keeps, what it runs, what it tells."""

import asyncio
import fcntl
import os
import platform
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import structlog
from nats.aio.client import Client

from services.agents.node.cgroups.detect import detect
from services.agents.node.devices.host import HostDevices
from services.agents.node.devices.nvidia import NvidiaDevices
from services.agents.node.domain.kernel import Record
from services.agents.node.heartbeat import Goodbye, HeartbeatSender, Load
from services.agents.node.images import read_images
from services.agents.node.introduction import Introduction
from services.agents.node.jobs import make_job
from services.agents.node.journal import Journal
from services.agents.node.logs import LogServer
from services.agents.node.metering import KernelMeter
from services.agents.node.process.runtime import ProcessOptions, ProcessRuntime
from services.agents.node.reconciler import Reconciler
from services.agents.node.reports import Reporter
from services.agents.node.runtime import KernelJob, RuntimeProfile, StartRefusedError
from services.agents.node.settings import NodeSettings, slots_override
from shared.contracts.agents import AgentProfile
from shared.contracts.base import Sealed
from shared.kernel.clock import Clock
from shared.kernel.slots import Slots, add
from shared.messaging.command_client import CommandClient
from shared.messaging.desired import DesiredChange
from shared.observability.health import Check, State
from shared.security.environ import open_on_node
from shared.security.sealing import NodeKey, SealBroken

JOURNAL: Final = "journal.sqlite"
BACKLOG_UNHEALTHY: Final = 100
_log = structlog.get_logger(__name__)


class DataInUseError(Exception):
    """Another daemon works on the same data; the text names the folder."""


class Node:
    """One node. `open`, then `run`; `close` leaves the kernels running."""

    def __init__(
        self, settings: NodeSettings, nats: Client, commands: CommandClient, clock: Clock
    ) -> None:
        """Put the parts together; nothing is started."""
        self._settings = settings
        self._nats = nats
        self._commands = commands
        self._clock = clock
        self._override = slots_override(settings)
        self._key: NodeKey | None = None
        self._data = settings.agent_data
        self._lock: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.journal = Journal(self._data / JOURNAL)
        self._accelerators = NvidiaDevices(settings.gpu_mode)
        self.introduction = Introduction(settings.agent_id, commands)

    async def open(self) -> None:
        """Take the data folder, find out what the machine has, take up what runs."""
        await asyncio.to_thread(self._take_data)
        await self.journal.open()
        # Versions of the daemon share the group by its incarnation, installations do not.
        parent = f"quartermaster-{self.journal.incarnation[-12:]}"
        groups, note = await asyncio.to_thread(detect, parent)
        images = await asyncio.to_thread(read_images, self._data)
        options = ProcessOptions(
            log_limit_bytes=self._settings.kernel_log_limit_bytes,
            sandbox=self._settings.sandbox,
            images=tuple(sorted(images)),
        )
        self._runtime = ProcessRuntime(self._data / "kernels", groups, options, note)
        runtime_profile = await self._runtime.open()
        host = HostDevices(self._data)
        await asyncio.to_thread(self._accelerators.open)
        meter = KernelMeter(self._runtime.usage, self._accelerators.devices, self._clock)
        self._load = Load(host, self._accelerators, meter)
        profile = self._profile(runtime_profile, host.slots(), images)
        self.heartbeat = HeartbeatSender(
            self._nats,
            self._settings.agent_id,
            self.journal,
            self._clock,
            profile=profile,
            load=self._load,
            interval_s=self._settings.heartbeat_interval_s,
        )
        self.logs = LogServer(self._nats, self._settings.agent_id, self.journal, self._runtime)
        self.reconciler = Reconciler(
            journal=self.journal,
            runtime=self._runtime,
            make_job=self._make_job,
            clock=self._clock,
            on_change=self._tell_change,
            logs_kept=self._settings.kernel_logs_kept,
        )
        self.reporter = Reporter(
            self._settings.agent_id, self.journal, self._commands, self.reconciler.wake
        )
        await self.reconciler.recover()
        await self.logs.start()
        _log.info(
            "node_open",
            agent=self._settings.agent_id,
            isolation=profile.isolation,
            obstacles=runtime_profile.obstacles,
        )

    async def run(self, changes: AsyncIterator[DesiredChange]) -> None:
        """Bring about what is desired, report and beat, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._tasks = [
                group.create_task(self.reconciler.follow(changes)),
                group.create_task(self.reporter.run()),
                group.create_task(
                    self.introduction.run(self.journal.incarnation, self.heartbeat.hurry)
                ),
                group.create_task(
                    self.heartbeat.run(self.reconciler.presences, self.reconciler.living)
                ),
            ]
        # `close` has ended them; whoever called waits for the goodbye to be said.
        await asyncio.Event().wait()

    def _tell_change(self) -> None:
        self.heartbeat.hurry()
        self.logs.notify()

    async def greet(self) -> None:
        """Beat at once: the connection is back."""
        self.heartbeat.hurry()

    async def check(self) -> Check:
        """Return the health: how many reports nobody has accepted yet."""
        waiting = await self.journal.backlog()
        state: State = "ok" if waiting <= BACKLOG_UNHEALTHY else "degraded"
        return Check(state=state, lag=waiting)

    async def close(self, goodbye: Goodbye) -> None:
        """Say goodbye and let go of everything; kernels go on running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.logs.stop()
        await self.reconciler.stop()
        await self.heartbeat.beat(self.reconciler.presences(), self.reconciler.living(), goodbye)
        self._load.close()
        await self._runtime.close()
        await self.journal.close()
        if self._lock is not None:
            os.close(self._lock)

    def _take_data(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._data / "daemon.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise DataInUseError(f"Another node daemon works on {self._data}.") from error
        if self._settings.node_key_file is not None:
            self._key = NodeKey.load(self._settings.node_key_file)

    def _profile(
        self, runtime: RuntimeProfile, host: Slots, labels: dict[str, dict[str, str]]
    ) -> AgentProfile:
        slots = host
        for device in self._accelerators.devices:
            slots = add(slots, {device.slot: device.amount})
        return AgentProfile(
            address=self._settings.agent_address,
            region=self._settings.region,
            architecture=platform.machine(),
            version=_version(),
            resource_group=self._settings.resource_group,
            runtime=runtime.name,
            available_slots={**slots, **self._override},
            devices=self._accelerators.devices,
            images=runtime.images,
            isolation=runtime.isolation,
            isolation_notes=runtime.notes,
            image_labels={name: found for name, found in labels.items() if found},
        )

    def _make_job(self, record: Record) -> KernelJob:
        return make_job(
            record.spec,
            record.user_index,
            self._settings.kernel_pids_limit,
            self._open_environ,
            self._accelerators.nodes,
        )

    def _open_environ(self, kernel_id: str, sealed: Sealed) -> dict[str, str]:
        if self._key is None:
            raise StartRefusedError("This node has no key to open the session's environment with.")
        try:
            return open_on_node(self._key, kernel_id, sealed)
        except SealBroken as problem:
            raise StartRefusedError(f"The session's environment: {problem}.") from problem


def _version() -> str:
    try:
        return version("quartermaster")
    except PackageNotFoundError:
        return "0.1.0"
