"""A node as the scheduler sees one: made of nothing but messages."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentRevived,
    Heartbeat,
    ImageDiscovered,
    NodeLoad,
)
from shared.contracts.base import Accepted, Reply
from shared.contracts.kernels import KernelPresence, KernelReport, KernelSpec, KernelUsage
from shared.contracts.scheduler import ReportKernels
from shared.contracts.subjects import heartbeat_subject
from shared.kernel.ids import new_id
from shared.messaging import telemetry
from tests.scheduler.integration.harness import World

DIGEST = "sha256:img"


class FakeNode:
    """A node as the scheduler sees one: an agent's events, reports and heartbeats."""

    def __init__(
        self,
        world: World,
        agent_id: str = "n1",
        cpu: int = 4,
        group: str = "default",
        **profile: Any,
    ) -> None:
        self.world = world
        self.agent_id = agent_id
        self.incarnation = new_id()
        self.cpu = cpu
        self.group = group
        self.more = profile
        self.sequence = 0
        self.beats = 0

    def profile(self) -> AgentProfile:
        said = AgentProfile(
            address="test",
            region="local",
            architecture="x86_64",
            version="1",
            resource_group=self.group,
            runtime="process",
            available_slots={"cpu": self.cpu * 1000, "mem": 2**34},
            images=("img",),
        )
        return msgspec.structs.replace(said, **self.more)

    async def connect(self) -> "FakeNode":
        await self.world.agents.say(
            AgentConnected(
                agent_id=self.agent_id, incarnation=self.incarnation, profile=self.profile()
            ),
            ImageDiscovered(canonical="img", architecture="x86_64", digest=DIGEST, size_bytes=0),
        )
        await self.world.until_said(self.incarnation)
        return self

    async def forget_everything(self) -> None:
        self.incarnation = new_id()
        await self.connect()

    async def be_lost(self) -> None:
        await self.world.agents.say(
            AgentLost(agent_id=self.agent_id, last_seen_at=datetime.now(tz=UTC))
        )

    async def revive(self) -> None:
        await self.world.agents.say(
            AgentRevived(agent_id=self.agent_id, incarnation=self.incarnation)
        )

    async def specs(self) -> dict[str, KernelSpec]:
        """Return what this node shall run, by session."""
        found = (await self.world.desired.all()).items()
        return {spec.session_id: spec for key, spec in found if key.startswith(f"{self.agent_id}.")}

    async def spec(self, session_id: str, goal: str = "running") -> KernelSpec:
        async def look() -> KernelSpec | None:
            spec = (await self.specs()).get(session_id)
            return spec if spec is not None and spec.goal == goal else None

        found: KernelSpec = await self.world.until(look)
        return found

    async def report(self, spec: KernelSpec, *phases: str, **more: Any) -> Reply:
        reports = []
        for phase in phases:
            self.sequence += 1
            reports.append(
                KernelReport(
                    session_id=spec.session_id,
                    kernel_id=spec.kernel_id,
                    attempt=spec.attempt,
                    sequence=self.sequence,
                    phase=phase,
                    at=datetime.now(tz=UTC),
                    **(more if phase in ("terminated", "failed") else {}),
                )
            )
        return await self.world.send(
            ReportKernels(
                agent_id=self.agent_id, incarnation=self.incarnation, reports=tuple(reports)
            )
        )

    async def run(self, session_id: str) -> KernelSpec:
        """Take up a session's kernel and report that it runs."""
        spec = await self.spec(session_id)
        assert isinstance(await self.report(spec, "preparing", "running"), Accepted)
        return spec

    async def beat(
        self, *kernels: KernelSpec, phase: str = "running", cpu_percent: float | None = None
    ) -> None:
        """Beat; with a share of the CPU, as every kernel uses it."""
        self.beats += 1
        beat = Heartbeat(
            agent_id=self.agent_id,
            incarnation=self.incarnation,
            sequence=self.beats,
            at=datetime.now(tz=UTC),
            profile=self.profile(),
            load=NodeLoad(
                cpu_percent=0,
                mem_used_bytes=0,
                mem_total_bytes=0,
                disk_used_bytes=0,
                disk_total_bytes=0,
                net_received_bytes_s=0,
                net_sent_bytes_s=0,
            ),
            kernels=tuple(
                KernelPresence(
                    session_id=spec.session_id,
                    kernel_id=spec.kernel_id,
                    attempt=spec.attempt,
                    phase=phase,
                )
                for spec in kernels
            ),
            usage=tuple(
                KernelUsage(
                    session_id=spec.session_id,
                    kernel_id=spec.kernel_id,
                    at=datetime.now(tz=UTC),
                    cpu_percent=cpu_percent,
                )
                for spec in kernels
                if cpu_percent is not None
            ),
        )
        await telemetry.publish(self.world.client, heartbeat_subject(self.agent_id), beat)
