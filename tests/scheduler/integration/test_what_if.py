"""A recorded period replayed by the scheduler as the gateway asks for it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.scheduler import replays
from services.scheduler.domain.resource_group import Defaults
from services.scheduler.forecast.fleet import AgentChange
from services.scheduler.replay_order import ReplayOrder
from services.scheduler.replays import Replays
from shared.contracts.scheduler import QueueReplay, ReplayQueue, Variation
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.kernel.rejections import Rejection, not_found
from tests.scheduler.integration.leader import AGENT, Running

WAIT_S = 20.0


def question(since, until=None, group="default", wait_s=5.0, **variation):
    return ReplayQueue(
        resource_group=group,
        since=since,
        until=until or datetime.now(tz=UTC),
        variation=Variation(**variation),
        wait_s=wait_s,
    )


async def until_done(ask, query):
    """Ask until the replay is done."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await ask(query)
            if isinstance(answer, Rejection) or answer.comparison is not None:
                return answer


def asking(world):
    return lambda query: world.queries.ask(query, QueueReplay, timeout_s=WAIT_S)


async def test_a_period_is_told_as_it_was_and_as_it_would_have_been(world, node):
    since = datetime.now(tz=UTC)
    (first,) = await world.enqueued("first", resources={"cpu": 4000})
    spec = await node.run(first)
    (second,) = await world.enqueued("second", resources={"cpu": 4000})
    await node.report(spec, "terminated", exit_code=0)
    spec = await node.run(second)
    await node.report(spec, "terminated", exit_code=0)
    await world.event(second, "SessionTerminated")
    query = question(since, add_agents=1)
    answer = await until_done(asking(world), query)
    assert answer.percent == 100
    found = answer.comparison
    assert (found.agents, found.agents_what_if, found.running_before) == (1, 2, 0)
    for figures in (found.recorded, found.replayed, found.what_if):
        assert (figures.sessions, figures.started, figures.still_waiting) == (2, 2, 0)
    assert found.recorded.waiting.max_s > 0
    assert found.replayed.waiting.max_s > 0
    # with one more agent the second would not have waited for the first
    assert found.what_if.waiting.max_s == 0
    assert found.what_if.fairness == 1.0
    assert found.recorded.utilisation.keys() == {"cpu", "mem"}
    assert found.replayed.utilisation["cpu"] > found.what_if.utilisation["cpu"] > 0
    assert await asking(world)(query) == answer  # it is kept for whoever asks again


@pytest.mark.parametrize(
    ("field", "code", "more"),
    [
        ("to", "in_the_future", {"until": datetime(2999, 1, 1, tzinfo=UTC)}),
        ("from", "not_before", {"until": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("from", "period_too_long", {"days": 32}),
        ("retries_to_skip", "only_fifo", {"scheduler": "drf", "retries_to_skip": 2}),
        ("retries_to_skip", "out_of_range", {"retries_to_skip": -1}),
        ("agents", "one_of", {"add_agents": 1, "scale_agents": 2.0}),
        ("agents", "out_of_range", {"remove_agents": 1000}),
        ("agents.scale", "out_of_range", {"scale_agents": 0.0}),
    ],
)
async def test_what_cannot_be_replayed_is_refused(world, node, field, code, more):
    assert node.cpu == 4
    since = datetime.now(tz=UTC) - timedelta(days=more.pop("days", 1))
    answer = await asking(world)(question(since, **more))
    assert isinstance(answer, Rejection), answer
    assert answer.kind == "invalid"
    assert (field, code) in [(error.field, error.code) for error in answer.errors]


async def test_a_group_that_does_not_exist_has_no_past(world):
    answer = await asking(world)(question(datetime.now(tz=UTC), group="nowhere"))
    assert answer == not_found("resource_group", "nowhere")


def order_of(url, since, until):
    return ReplayOrder(
        database_url=url,
        group="default",
        since=since,
        until=until,
        variation=Variation(scale_agents=2.0),
        agents=(AgentChange(0.0, AGENT),),
        agents_known_since=None,
        limits={},
        defaults=Defaults(),
        retry_s=1.0,
    )


async def test_equal_questions_share_a_replay_which_ends_when_nobody_asks(postgres, monkeypatch):
    since = datetime.now(tz=UTC)
    url = await postgres.database("scheduler")
    pool = await open_pool(url, name="replay-test")
    event_log = EventLog(pool, codec_for("scheduler"))
    running = await Running(event_log).start()
    for number in range(3):
        await running.enqueue(f"s{number}", requested={"cpu": 4000})
    await running.terminate("s0")
    await running.stop()
    pool.terminate()
    ordered = []

    async def order(query):
        ordered.append(query)
        return order_of(url, query.since, query.until)

    asked = Replays(order)
    query = question(since, wait_s=10.0)
    answers = await asyncio.gather(*(asked.answer(query) for _ in range(5)))
    assert len(asked._runs) == 1
    done = await until_done(asked.answer, query)
    assert all(answer.percent <= 100 for answer in answers)
    assert (done.comparison.recorded.sessions, done.comparison.recorded.started) == (3, 2)
    # on two agents the second starts beside the first, and the third when that has ended
    assert (done.comparison.what_if.started, done.comparison.agents_what_if) == (3, 2)
    (run,) = asked._runs.values()
    monkeypatch.setattr(replays, "KEPT_S", 0.0)
    assert await asked.answer(query) == done
    await asyncio.wait([run.task], timeout=WAIT_S)
    assert asked._runs == {}


async def test_a_replay_that_is_ended_leaves_no_process_and_one_that_breaks_can_be_tried_again():
    now = datetime.now(tz=UTC)

    async def order(query):
        return order_of("postgresql://nobody@127.0.0.1:1/none", query.since, query.until)

    asked = Replays(order)
    query = question(now - timedelta(hours=1), now, wait_s=10.0)
    answer = await until_done(asked.answer, query)
    assert (answer.kind, answer.code) == ("unavailable", "replay_failed")
    begun = await asked.answer(question(now - timedelta(hours=2), now, wait_s=0.0))
    assert begun == QueueReplay(percent=0)
    await asked.stop()
    assert asked._runs == {}
