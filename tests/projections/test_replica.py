"""A replica in memory equals the fold of the logs it follows."""

import asyncio

import pytest

from shared.eventlog.codecs import codec_for
from shared.eventlog.records import Recorded
from shared.messaging.cloudevents import event_headers
from shared.projections.decoding import PoisonError
from shared.projections.replica import Replica
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.projections.conftest import DEADLINE_S, Bench, background

CODECS = {"users": codec_for("users"), "policies": codec_for("policies")}


class Folded:
    """What a replica has been given."""

    def __init__(self) -> None:
        self.positions: dict[str, list[int]] = {"users": [], "policies": []}

    def apply(self, source: str, recorded: Recorded) -> None:
        self.positions[source].append(recorded.position)


async def test_a_replica_catches_up_then_follows(bench: Bench):
    await bench.preset("small")
    await bench.domains(*(f"a{number}" for number in range(900)))
    folded = Folded()
    replica = Replica(bench.nats, ("users", "policies"), CODECS, folded.apply)
    assert replica.check().state == "failed"
    async with background(replica.run()):
        assert await replica.wait_for("users", 900, DEADLINE_S)
        assert await replica.caught_up(DEADLINE_S)
        last = await bench.domains("b")
        assert await replica.wait_for("users", last, DEADLINE_S)
        assert replica.check().state == "ok"
    assert folded.positions == {"users": list(range(1, 902)), "policies": [1]}


async def test_a_replica_without_a_stream_has_not_caught_up(bench: Bench):
    codecs = {"storage": codec_for("storage")}
    replica = Replica(bench.nats, ("storage",), codecs, lambda _source, _event: None)
    async with background(replica.run()):
        assert not await replica.caught_up(0.1)
        assert replica.check().state == "failed"


@pytest.mark.parametrize("wiped", [False, True])
async def test_a_replica_neither_repeats_nor_misses_events_of_a_killed_server(
    bench: Bench, nats_server: NatsServer, *, wiped: bool
):
    folded = Folded()
    replica = Replica(bench.nats, ("users",), CODECS, folded.apply)
    async with background(replica.run()):
        assert await replica.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
        await nats_server.kill()
        if wiped:
            nats_server.wipe()
        await bench.domains("c")
        await nats_server.start()
        assert await replica.wait_for("users", await bench.domains("d"), DEADLINE_S)
        await eventually(lambda: replica.check().state == "ok")
    assert folded.positions["users"] == [1, 2, 3, 4]


async def test_an_event_that_cannot_be_decoded_ends_the_replica_with_an_error(bench: Bench):
    await bench.domains("a")
    stored = (await bench.users.read(0, 1))[0]
    js = bench.nats.jetstream()
    await js.add_stream(name="EVENTS_storage", subjects=["evt.storage.>"])
    headers = event_headers("storage", stored)
    await js.publish("evt.storage.domain.a.DomainCreated", b'{"name": 1}', headers=headers)
    codecs = {"storage": codec_for("users")}
    replica = Replica(bench.nats, ("storage",), codecs, lambda _source, _event: None)
    with pytest.raises(PoisonError):
        async with asyncio.timeout(DEADLINE_S):
            await replica.run()
