"""The scheduler as a process, its peers' logs, and nodes made of nothing but messages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import msgspec
from nats.aio.client import Client

from shared.contracts.base import Accepted, Actor, Command, Event, Meta, Reply
from shared.contracts.scheduler import (
    EnqueueSession,
    GetPendingQueue,
    PendingQueue,
    TerminateSession,
)
from shared.contracts.users import ProjectCreated, ProjectMemberAdded, UserCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey, Write
from shared.eventlog.relay import Relay
from shared.messaging.commands import CommandClient
from shared.messaging.connection import connect, on_reconnect
from shared.messaging.desired import DesiredState
from shared.messaging.queries import QueryClient
from shared.security.sealing import Keyring
from shared.testing.servers import Databases, NatsServer
from shared.testing.services import ServiceProcess

USER, PROJECT = "user-1", "project-1"
META = Meta(actor=Actor(kind="user", id=USER), correlation_id="test")
WAIT_S = 60.0
ANSWER_S = 20.0
LOOK_AGAIN_S = 1.0
PEERS = ("users", "agents", "policies")


class Peer:
    """Another service's log with its relay: what it says becomes an event of its stream."""

    def __init__(self, event_log: EventLog, relay: asyncio.Task[None]) -> None:
        self.log = event_log
        self.relay = relay
        self.position = 0

    async def say(self, *events: Event) -> None:
        for event in events:
            stream = f"{event.AGGREGATE}-{event.key()}"
            appended = await self.log.append([Write(stream, None, (event,))], META)
            self.position = appended.last


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
        self.news = asyncio.Condition()
        self.heard = 0
        self.admin_url = ""
        self.patience_s = ANSWER_S
        self.session_ids: list[str] = []
        self.agents: Peer = None
        self.users: Peer = None
        self.policies: Peer = None

    async def until(self, look: Callable[[], Any]) -> Any:
        """Look after each word of the scheduler until it is true; return what was found."""
        async with asyncio.timeout(WAIT_S):
            while True:
                heard = self.heard
                if found := await look():
                    return found
                # a write is told of a moment before it can be read, so nobody tells when it can
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S), self.news:
                        await self.news.wait_for(lambda heard=heard: self.heard != heard)

    async def until_said(self, text: str) -> None:
        """Wait until the scheduler has logged a line with `text`: it has learned of it."""
        async with asyncio.timeout(WAIT_S), self.service._news:
            await self.service._news.wait_for(lambda: text in self.service.output)

    async def listen(self) -> None:
        """Hear of every event and of every change of the desired state."""

        async def hear(_message: Any = None) -> None:
            async with self.news:
                self.heard += 1
                self.news.notify_all()

        for subject in ("evt.>", "$KV.desired.>"):
            await self.client.subscribe(subject, cb=hear)
        on_reconnect(self.client, hear)
        await self.client.flush()

    async def send(self, command: Command, key: CommandKey | None = None) -> Reply:
        # as the gateway does: what was said before holds for this command
        seen = {name: getattr(self, name).position for name in ("users", "policies")}
        return await self.commands.send(
            command, meta=META, idempotency=key, timeout_s=self.patience_s, seen=seen
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
        answer = await self.queries.ask(query, PendingQueue, timeout_s=ANSWER_S)
        assert isinstance(answer, PendingQueue), answer
        return answer

    async def types_of(self, session_id: str) -> list[str]:
        return await self.types_of_stream(f"session-{session_id}")

    async def types_of_stream(self, stream: str) -> list[str]:
        rows = await self.database.fetch(
            "select type from events where stream = $1 order by version", stream
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

        found: dict[str, Any] = msgspec.json.decode(await self.until(look))
        return found


@asynccontextmanager
async def world_of(
    databases: Databases, server: NatsServer, files: Any, **environ: str
) -> AsyncIterator[World]:
    """Give a running scheduler, with a user, a project and nothing else."""
    keyring = Keyring.generate()
    keyring.save(files / "master.json")
    urls = await databases.shared_by("scheduler", *PEERS)
    client = await connect(server.url, "tester")
    service = ServiceProcess(
        "scheduler",
        {
            "QM_NATS_URL": server.url,
            "QM_DATABASE_URL": urls["scheduler"],
            "QM_MASTER_KEY_FILE": str(files / "master.json"),
            "QM_SCHEDULER_RETRY_S": "0.05",
            "QM_SCHEDULER_FORESIGHT_REST_S": "0.1",
            **environ,
        },
    )
    world = World(service, keyring, client)
    await world.listen()
    pools = []
    for name in PEERS:
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
        relays = [getattr(world, name).relay for name in PEERS]
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)
        await world.database.close()
        for pool in pools:
            pool.terminate()
        await client.close()
