"""The scheduler as a process, its peers' logs, and nodes made of nothing but messages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from nats.aio.client import Client

from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentRevived,
    Heartbeat,
    ImageDiscovered,
    NodeLoad,
)
from shared.contracts.base import Accepted, Actor, Command, Event, Meta, Reply
from shared.contracts.kernels import KernelPresence, KernelReport, KernelSpec
from shared.contracts.scheduler import (
    EnqueueSession,
    GetPendingQueue,
    PendingQueue,
    ReportKernels,
    TerminateSession,
)
from shared.contracts.subjects import heartbeat_subject
from shared.contracts.users import ProjectCreated, ProjectMemberAdded, UserCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey, Write
from shared.eventlog.relay import Relay
from shared.kernel.ids import new_id
from shared.messaging import telemetry
from shared.messaging.commands import CommandClient
from shared.messaging.connection import connect
from shared.messaging.desired import DesiredState
from shared.messaging.queries import QueryClient
from shared.security.sealing import Keyring
from shared.testing.servers import Databases, NatsServer
from shared.testing.services import ServiceProcess

USER, PROJECT = "user-1", "project-1"
META = Meta(actor=Actor(kind="user", id=USER), correlation_id="test")
WAIT_S = 20.0


async def until(look: Callable[[], Any]) -> Any:
    """Look again and again until it is true; the deadline is generous, the loop is short."""
    async with asyncio.timeout(WAIT_S):
        while not (found := await look()):  # noqa: ASYNC110  # another process decides when
            await asyncio.sleep(0.02)
    return found


class Peer:
    """Another service's log with its relay: what it says becomes an event of its stream."""

    def __init__(self, event_log: EventLog, relay: asyncio.Task[None]) -> None:
        self.log = event_log
        self.relay = relay

    async def say(self, *events: Event) -> None:
        for event in events:
            stream = f"{event.AGGREGATE}-{event.key()}"
            await self.log.append([Write(stream, None, (event,))], META)


class World:
    """The scheduler and everything around it."""

    def __init__(self, service: ServiceProcess, keyring: Keyring, client: Client) -> None:
        self.service = service
        self.keyring = keyring
        self.client = client
        self.commands = CommandClient(client, "tester")
        self.queries = QueryClient(client)
        self.desired = DesiredState(client)
        self.database: asyncpg.Connection = None
        self.admin_url = ""
        self.patience_s = WAIT_S
        self.session_ids: list[str] = []
        self.agents: Peer = None
        self.users: Peer = None

    async def send(self, command: Command, key: CommandKey | None = None) -> Reply:
        return await self.commands.send(
            command, meta=META, idempotency=key, timeout_s=self.patience_s
        )

    async def enqueue(self, name: str = "job", *, key: CommandKey | None = None, **more: Any):
        values = {
            "session_type": "batch",
            "user_id": USER,
            "access_key": None,
            "domain": "default",
            "project_id": PROJECT,
            "image": "img",
            "resources": {"cpu": 1000},
            "command": ("true",),
            **more,
        }
        return await self.send(EnqueueSession(name=name, **values), key)

    async def enqueued(self, name: str = "job", **more: Any) -> list[str]:
        reply = await self.enqueue(name, **more)
        assert isinstance(reply, Accepted), reply
        session_ids = list(reply.result["session_ids"])
        self.session_ids.extend(session_ids)
        return session_ids

    async def terminate(self, session_id: str, **more: Any) -> Reply:
        return await self.send(TerminateSession(session_id=session_id, **more))

    async def queue(self, **more: Any) -> PendingQueue:
        query = GetPendingQueue(resource_group="default", **more)
        answer = await self.queries.ask(query, PendingQueue, timeout_s=WAIT_S)
        assert isinstance(answer, PendingQueue), answer
        return answer

    async def types_of(self, session_id: str) -> list[str]:
        rows = await self.database.fetch(
            "select type from events where stream = $1 order by version", f"session-{session_id}"
        )
        return [row["type"] for row in rows]

    async def cut_off_scheduler(self) -> None:
        """End every connection to Postgres of the scheduler that leads now."""
        admin = await asyncpg.connect(self.admin_url)
        await admin.execute(
            "select pg_terminate_backend(a.pid) from pg_stat_activity a"
            " join pg_locks l on l.pid = a.pid and l.locktype = 'advisory'"
            " where a.application_name = 'scheduler' and a.datname = current_database()"
        )
        await admin.close()

    async def event(self, session_id: str, kind: str) -> dict[str, Any]:
        """Wait for an event of a session and return its data."""

        async def look() -> Any:
            return await self.database.fetchval(
                "select data::text from events where stream = $1 and type = $2",
                f"session-{session_id}",
                kind,
            )

        found: dict[str, Any] = msgspec.json.decode(await until(look))
        return found


class FakeNode:
    """A node as the scheduler sees one: an agent's events, reports and heartbeats."""

    def __init__(self, world: World, agent_id: str = "n1", cpu: int = 4) -> None:
        self.world = world
        self.agent_id = agent_id
        self.incarnation = new_id()
        self.cpu = cpu
        self.sequence = 0
        self.beats = 0

    def profile(self) -> AgentProfile:
        return AgentProfile(
            address="test",
            region="local",
            architecture="x86_64",
            version="1",
            resource_group="default",
            runtime="process",
            available_slots={"cpu": self.cpu * 1000, "mem": 2**34},
            images=("img",),
        )

    async def connect(self) -> "FakeNode":
        await self.world.agents.say(
            AgentConnected(
                agent_id=self.agent_id, incarnation=self.incarnation, profile=self.profile()
            ),
            ImageDiscovered(canonical="img", architecture="x86_64", digest="", size_bytes=0),
        )
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

        found: KernelSpec = await until(look)
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

    async def beat(self, *kernels: KernelSpec, phase: str = "running") -> None:
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
        )
        await telemetry.publish(self.world.client, heartbeat_subject(self.agent_id), beat)


@asynccontextmanager
async def world_of(
    databases: Databases, server: NatsServer, files: Any, **environ: str
) -> AsyncIterator[World]:
    """Give a running scheduler, with a user, a project and nothing else."""
    keyring = Keyring.generate()
    keyring.save(files / "master.json")
    urls = await databases.shared_by("scheduler", "users", "agents")
    client = await connect(server.url, "tester")
    service = ServiceProcess(
        "scheduler",
        {
            "QM_NATS_URL": server.url,
            "QM_DATABASE_URL": urls["scheduler"],
            "QM_MASTER_KEY_FILE": str(files / "master.json"),
            "QM_SCHEDULER_RETRY_S": "0.05",
            **environ,
        },
    )
    world = World(service, keyring, client)
    pools = []
    for name in ("users", "agents"):
        pool = await open_pool(urls[name], name=f"test-{name}")
        pools.append(pool)
        event_log = EventLog(pool, codec_for(name))
        relay = asyncio.create_task(Relay(event_log, client).run())
        setattr(world, name, Peer(event_log, relay))
    world.admin_url = databases.as_admin(urls["scheduler"])
    world.database = await asyncpg.connect(urls["scheduler"])
    await world.users.say(
        ProjectCreated(
            project_id=PROJECT, domain="default", name="default", project_type="general"
        ),
        UserCreated(
            user_id=USER,
            email="1.x",
            username="1.x",
            full_name="1.x",
            description="1.x",
            domain="default",
            role="user",
            status="active",
            resource_policy="default",
        ),
        ProjectMemberAdded(project_id=PROJECT, user_id=USER),
    )
    try:
        await service.start()
        yield world
    finally:
        await service.stop()
        for peer in (world.users, world.agents):
            peer.relay.cancel()
        await asyncio.gather(world.users.relay, world.agents.relay, return_exceptions=True)
        await world.database.close()
        for pool in pools:
            pool.terminate()
        await client.close()
