"""What can't be shown stops its projection, visibly and alone; nothing is skipped in silence."""

import asyncio

from nats.js.api import StreamConfig

from shared.contracts.users import DomainCreated
from shared.eventlog.codec import EventCodec
from shared.eventlog.log import EventLog
from shared.messaging.cloudevents import event_headers
from shared.projections.runner import ProjectionRunner
from shared.testing.eventually import eventually
from tests.projections.conftest import DEADLINE_S, Bench, background
from tests.projections.journal import Journal


async def test_a_poison_event_stops_its_projection_at_the_event_before_it(bench: Bench):
    bad, good = Journal("bad"), Journal("good")
    bad.poison = "d"
    async with bench.running(bad, good) as runner:
        await bench.preset("small")
        last = await bench.domains("a", "b", "c", "d", "e")
        assert await runner.wait_for("users", last, DEADLINE_S, projections=["good"])
        await eventually(lambda: runner.check().state == "degraded")
        assert "bad stands at users 3" in runner.check().detail
        assert "event 4 (DomainCreated)" in runner.check().detail
        assert await bench.rows(name="bad") == [1, 2, 3]
        assert await bench.rows(name="good") == [1, 2, 3, 4, 5]
        assert not await runner.wait_for("users", last, DEADLINE_S)
        bad.poison = ""
        runner.resume("bad")
        await eventually(lambda: runner.check().state == "ok")
        assert await bench.rows(name="bad") == [1, 2, 3, 4, 5]


async def test_a_stall_outlives_a_restart(bench: Bench):
    journal = Journal()
    journal.poison = "b"
    last = await bench.domains("a", "b")
    for _ in range(2):
        async with bench.running(journal) as runner:
            await eventually(lambda: "stands at users 1" in runner.check().detail)
            assert not await runner.wait_for("users", last, DEADLINE_S)
    assert await bench.rows() == [1]


async def test_what_is_away_is_waited_for_without_a_stall(bench: Bench):
    journal = Journal()
    journal.away = "b"
    async with bench.running(journal) as runner:
        await bench.preset("small")
        last = await bench.domains("a", "b")
        async with asyncio.timeout(DEADLINE_S):
            await journal.held.wait()
        await eventually(lambda: runner.check().state == "degraded")
        assert "the key of b is away" in runner.check().detail
        journal.away = ""
        assert await runner.wait_for("users", last, DEADLINE_S)
    assert await bench.rows() == [1, 2]


async def test_events_of_a_type_this_release_does_not_know_are_passed_over(bench: Bench):
    class Other(DomainCreated, frozen=True, tag="DomainRemodelled"):
        pass

    codecs = {"users": EventCodec("users", Other)}
    runner = ProjectionRunner(bench.pool, bench.nats, [Journal()], codecs=codecs)
    async with background(runner.run()):
        assert await runner.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
    assert await bench.rows() == []


async def republish(bench: Bench, log: EventLog, left_out: int) -> None:
    """Make the stream of `storage` of the users' events, with one of them removed (0: none)."""
    js = bench.nats.jetstream()
    await js.add_stream(StreamConfig(name="EVENTS_storage", subjects=["evt.storage.>"]))
    for event in await log.read(0, 100):
        await js.publish(
            "evt.storage.domain.x.DomainCreated",
            event.data,
            headers=event_headers("storage", event),
        )
    if left_out:
        await js.delete_msg("EVENTS_storage", left_out)


async def test_a_gap_in_a_stream_stops_at_the_gap(bench: Bench):
    await bench.domains("a", "b", "c", "d")
    await republish(bench, bench.users, left_out=3)
    journal = Journal()
    journal.sources = ("storage",)
    codecs = {"storage": EventCodec("storage", DomainCreated)}
    runner = ProjectionRunner(bench.pool, bench.nats, [journal], codecs=codecs)
    async with background(runner.run()):
        await eventually(lambda: "4 came where 3 was due" in runner.check().detail)
        assert runner.check().state == "degraded"
    assert await bench.rows("storage") == [1, 2]


async def test_a_stream_that_is_mended_is_followed_again_without_help(bench: Bench):
    await bench.domains("a", "b", "c", "d")
    await republish(bench, bench.users, left_out=3)
    journal = Journal()
    journal.sources = ("storage",)
    codecs = {"storage": EventCodec("storage", DomainCreated)}
    runner = ProjectionRunner(bench.pool, bench.nats, [journal], codecs=codecs)
    async with background(runner.run()):
        await eventually(lambda: runner.check().state == "degraded")
        await bench.nats.jetstream().delete_stream("EVENTS_storage")
        await republish(bench, bench.users, left_out=0)
        assert await shown(runner, "storage", 4)
    assert await bench.rows("storage") == [1, 2, 3, 4]


async def shown(runner: ProjectionRunner, source: str, position: int) -> bool:
    """Wait as `wait_for` does, but through a stall."""
    await eventually(lambda: runner.position(source) >= position)
    return await runner.wait_for(source, position, DEADLINE_S)


async def test_a_rebuild_that_stands_still_is_told_while_the_live_one_goes_on(bench: Bench):
    journal = Journal()
    async with bench.running(journal) as runner:
        await bench.preset("small")
        assert await runner.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
        journal.poison = "b"
        await runner.rebuild("journal")
        await eventually(lambda: "generation 2 can't be built" in runner.check().detail)
        assert runner.check().state == "degraded"
        assert await runner.wait_for("users", await bench.domains("c"), DEADLINE_S)
        assert await bench.rows() == [1, 2, 3]


async def test_a_stream_of_another_log_is_refused(bench: Bench):
    await bench.domains("a", "b", "c")
    js = bench.nats.jetstream()
    await js.add_stream(StreamConfig(name="EVENTS_storage", subjects=["evt.storage.>"]))
    for event in await bench.users.read(1, 100):
        await js.publish(
            "evt.storage.domain.x.DomainCreated",
            event.data,
            headers=event_headers("storage", event),
        )
    journal = Journal()
    journal.sources = ("storage",)
    codecs = {"storage": EventCodec("storage", DomainCreated)}
    runner = ProjectionRunner(bench.pool, bench.nats, [journal], codecs=codecs)
    async with background(runner.run()):
        await eventually(lambda: "sequence 1 holds event 2" in runner.check().detail)
    assert await bench.rows("storage") == []
