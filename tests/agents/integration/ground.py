"""A registry on a real log, with a clock that stands still, and what its log says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from services.agents.registry import Registry
from shared.contracts.agents import AgentProfile, Heartbeat, NodeLoad
from shared.contracts.base import Actor, Event, Meta
from shared.contracts.scheduler import ResourceGroupCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Recorded
from shared.kernel.ids import new_id
from shared.testing.clock import START, FakeClock
from shared.testing.servers import Databases

META = Meta(actor=Actor(kind="user", id="u-1"), correlation_id="c-1")
DEFAULT = ResourceGroupCreated(name="default", is_default=True)
PROFILE = AgentProfile(
    address="process://a",
    region="local",
    architecture="x86_64",
    version="1",
    resource_group="default",
    runtime="process",
    available_slots={"cpu": 2000, "mem": 2**30},
    images=("local/host:latest",),
)
LOAD = NodeLoad(
    cpu_percent=1.0,
    mem_used_bytes=1,
    mem_total_bytes=2,
    disk_used_bytes=1,
    disk_total_bytes=2,
    net_received_bytes_s=0.0,
    net_sent_bytes_s=0.0,
)


def heartbeat(agent_id: str = "a", sequence: int = 1, **fields: Any) -> Heartbeat:
    """Return a heartbeat; `slots` stands for a profile with these."""
    slots = fields.pop("slots", PROFILE.available_slots)
    group = fields.pop("group", "default")
    made = Heartbeat(
        agent_id=agent_id,
        incarnation="one",
        sequence=sequence,
        at=START,
        profile=msgspec.structs.replace(PROFILE, available_slots=slots, resource_group=group),
        load=LOAD,
        kernels=(),
    )
    return msgspec.structs.replace(made, **fields)


def recorded(event: Event) -> Recorded:
    """Return an event as a replica gives it."""
    return Recorded(
        position=1,
        stream="",
        version=1,
        type=type(event).__name__,
        schema_version=1,
        event=event,
        meta=META,
        event_id=new_id(),
        recorded_at=datetime.fromtimestamp(0, tz=START.tzinfo),
    )


class Ground:
    """A registry and its log; `restart` makes another registry on the same log."""

    def __init__(self, log: EventLog, clock: FakeClock) -> None:
        self.log = log
        self.clock = clock
        self.hears = True
        self.registry = self._make()

    def _make(self) -> Registry:
        return Registry(self.log, self.clock, timeout_s=40, hears=lambda: self.hears)

    async def restart(self) -> None:
        self.registry = self._make()
        await self.registry.load()
        self.registry.learn("scheduler", recorded(DEFAULT))

    async def events(self) -> list[Event]:
        """Return all events of the log."""
        return [one.event async for one in self.log.fold_all()]

    async def kinds(self, agent_id: str = "a") -> list[str]:
        """Return the names of one agent's events."""
        return [
            type(event).__name__
            for event in await self.events()
            if getattr(event, "agent_id", None) == agent_id
        ]


@asynccontextmanager
async def open_ground(databases: Databases) -> AsyncIterator[Ground]:
    """Give a registry that knows the default group."""
    pool = await open_pool(await databases.database("agents"), name="agents")
    clock = FakeClock()
    ground = Ground(EventLog(pool, codec_for("agents"), clock), clock)
    try:
        await ground.restart()
        yield ground
    finally:
        async with asyncio.timeout(20):
            await pool.close()
