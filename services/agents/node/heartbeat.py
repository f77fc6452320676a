"""Tells the control plane that this node lives, what it runs and how busy it is."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, NamedTuple

import structlog
from nats.aio.client import Client

from services.agents.node.devices.host import HostDevices
from services.agents.node.devices.nvidia import NvidiaDevices
from services.agents.node.journal import Journal
from services.agents.node.metering import KernelMeter
from shared.contracts.agents import AgentProfile, Heartbeat, NodeLoad
from shared.contracts.kernels import KernelPresence, KernelSpec, KernelUsage
from shared.contracts.subjects import heartbeat_subject
from shared.kernel.clock import Clock
from shared.messaging import telemetry

# Changes that come closer together than this share one beat.
GATHER_S: Final = 0.02
BOOT_SHIFT: Final = 32
Goodbye = Literal["stopped", "restarting"]
_log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """What the machine does, and what each of its running kernels uses."""

    load: NodeLoad
    usage: tuple[KernelUsage, ...]


class Load:
    """Samples the machine's load in a thread of its own: drivers may take their time."""

    def __init__(self, host: HostDevices, accelerators: NvidiaDevices, meter: KernelMeter) -> None:
        """Read from these three."""
        self._host = host
        self._accelerators = accelerators
        self._meter = meter
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devices")

    async def sample(self, living: Iterable[KernelSpec], running: Sequence[KernelSpec]) -> Sample:
        """Return what is now; `living` kernels hold their devices, `running` ones are measured."""
        allotted: dict[str, int] = {}
        for spec in living:
            for device, amount in spec.devices.get(self._accelerators.slot, {}).items():
                allotted[device] = allotted.get(device, 0) + amount
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._sample, allotted, running
        )

    def _sample(self, allotted: dict[str, int], running: Sequence[KernelSpec]) -> Sample:
        devices = self._accelerators.load(allotted)
        return Sample(self._host.load(devices), self._meter.measure(running, devices))

    def close(self) -> None:
        """Let the thread and the driver go."""
        self._thread.submit(self._accelerators.close)
        self._thread.shutdown()


class HeartbeatSender:
    """Beats every so often, and at once after a change."""

    def __init__(
        self,
        nats: Client,
        agent_id: str,
        journal: Journal,
        clock: Clock,
        *,
        profile: AgentProfile,
        load: Load,
        interval_s: float,
    ) -> None:
        """Speak for one agent; beats go on while NATS is away and are lost, as telemetry is."""
        self._nats = nats
        self._agent_id = agent_id
        self._journal = journal
        self._clock = clock
        self._profile = profile
        self._load = load
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        # Later starts of the same incarnation go on above everything that was ever sent.
        self._sequence = journal.boot << BOOT_SHIFT

    def hurry(self) -> None:
        """Beat as soon as possible: something has changed."""
        self._changed.set()

    async def run(
        self,
        presences: Callable[[], tuple[KernelPresence, ...]],
        living: Callable[[], tuple[KernelSpec, ...]],
    ) -> None:
        """Beat until cancelled."""
        while True:
            self._changed.clear()
            await self.beat(presences(), living())
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
                    await asyncio.sleep(GATHER_S)
            except TimeoutError:
                continue

    async def beat(
        self,
        kernels: tuple[KernelPresence, ...],
        living: tuple[KernelSpec, ...],
        goodbye: Goodbye | None = None,
    ) -> None:
        """Send one beat."""
        runs = {(one.kernel_id, one.attempt) for one in kernels if one.phase == "running"}
        running = [spec for spec in living if (spec.kernel_id, spec.attempt) in runs]
        sample = await self._load.sample(living, running)
        self._sequence += 1
        message = Heartbeat(
            agent_id=self._agent_id,
            incarnation=self._journal.incarnation,
            sequence=self._sequence,
            at=self._clock.now(),
            profile=self._profile,
            load=sample.load,
            kernels=kernels,
            usage=sample.usage,
            goodbye=goodbye,
        )
        await telemetry.publish(self._nats, heartbeat_subject(self._agent_id), message)
