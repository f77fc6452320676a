"""The agents service as a process, over real NATS and Postgres."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from shared.contracts.agents import AgentConnected, SetAgentSchedulable
from shared.contracts.base import Accepted, Rejected
from shared.contracts.subjects import heartbeat_subject
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey, Recorded, Write
from shared.eventlog.relay import Relay
from shared.messaging import telemetry
from shared.messaging.command_client import CommandClient
from shared.messaging.connection import close, connect
from shared.projections.replica import Replica
from shared.testing.services import ServiceProcess
from tests.agents.integration.ground import DEFAULT, META, heartbeat


class Place:
    """The service, and what its log has said on the stream."""

    def __init__(self, service: ServiceProcess, nats: object) -> None:
        self.service = service
        self.nats = nats
        self.commands = CommandClient(nats, "test")
        self.heard: list[Recorded] = []
        self.news = asyncio.Condition()

    def hear(self, _service: str, recorded: Recorded) -> None:
        self.heard.append(recorded)

    def kinds(self, agent_id: str) -> list[str]:
        return [one.type for one in self.heard if getattr(one.event, "agent_id", None) == agent_id]


@pytest_asyncio.fixture(loop_scope="session")
async def place(postgres, nats_server) -> AsyncIterator[Place]:
    urls = await postgres.shared_by("agents", "scheduler")
    nats = await connect(nats_server.url, "test")
    pool = await open_pool(urls["scheduler"], name="scheduler")
    log = EventLog(pool, codec_for("scheduler"))
    await log.append([Write("resource-group-default", 0, (DEFAULT,))], META)
    service = ServiceProcess(
        "agents",
        {
            "QM_NATS_URL": nats_server.url,
            "QM_DATABASE_URL": urls["agents"],
            "QM_AGENT_TIMEOUT_S": "1",
        },
    )
    made = Place(service, nats)
    replica = Replica(nats, ("agents",), {"agents": codec_for("agents")}, made.hear)
    tasks = [asyncio.create_task(Relay(log, nats).run()), asyncio.create_task(replica.run())]
    made.replica = replica
    try:
        await service.start()
        yield made
    finally:
        await service.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close(nats)
        await pool.close()


async def test_heartbeats_and_silence_become_events_and_commands_are_answered(place):
    beat = heartbeat("a")
    await telemetry.publish(place.nats, heartbeat_subject("a"), beat)
    # Connected, the image, and after a second of silence: lost.
    assert await place.replica.wait_for("agents", 3, 60)
    assert place.kinds("a") == ["AgentConnected", "AgentLost"]
    connected = place.heard[0].event
    assert isinstance(connected, AgentConnected)
    assert connected.profile == beat.profile

    off = SetAgentSchedulable(agent_id="a", schedulable=False)
    key = CommandKey("key", "digest")
    first = await place.commands.send(off, meta=META, idempotency=key)
    assert isinstance(first, Accepted)
    assert await place.replica.wait_for("agents", first.position, 60)
    assert place.kinds("a")[-1] == "AgentSchedulableSet"
    assert await place.commands.send(off, meta=META, idempotency=key) == first
    other = await place.commands.send(off, meta=META, idempotency=CommandKey("key", "other"))
    assert isinstance(other, Rejected)
    unknown = SetAgentSchedulable(agent_id="nobody", schedulable=False)
    refused = await place.commands.send(unknown, meta=META)
    assert isinstance(refused, Rejected)
    assert refused.rejection.code == "agent_not_found"

    await place.service.stop()
    await place.service.start()
    await telemetry.publish(place.nats, heartbeat_subject("a"), heartbeat("a", 2))
    assert await place.replica.wait_for("agents", first.position + 1, 60)
    assert place.kinds("a")[-1] == "AgentRevived"
