"""When the sessions of a queue will start: computed beside the scheduler, told with the queue."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from services.scheduler.forecast.estimate import waits
from services.scheduler.forecast.snapshot import Running, take
from services.scheduler.forecaster import Forecaster
from services.scheduler.forecasting import MODULE, Question
from shared.contracts.scheduler import QueueChanged
from shared.contracts.subjects import queue_subject
from shared.messaging import telemetry
from tests.scheduler.integration.harness import WAIT_S
from tests.scheduler.trace import Trace


def question():
    """Return a question about all who wait in a busy group, and one who comes in a minute."""
    trace = Trace(5, load=1.3)
    for _ in range(150):
        trace.enter(trace.next())
    later = trace.next()
    holdings = trace.planner.cluster.holdings
    running = tuple(
        Running(name, user, "img", trace.now - since, {name: holdings[name]})
        for name, (user, since) in trace.running.items()
    )
    snapshot = take(trace.planner, [later], running)
    wanted = [one.session.session_id for one in snapshot.waiting]
    assert len(wanted) > 3
    return Question(snapshot, trace.past, (*wanted, later.session_id), ((60.0, later),))


@pytest_asyncio.fixture(loop_scope="session")
async def forecaster():
    forecaster = Forecaster()
    yield forecaster
    await forecaster.close()


async def test_the_process_beside_answers_what_would_be_found_here(forecaster):
    asked = question()
    found = await forecaster.ask(asked)
    assert found == waits(asked.snapshot, (), asked.past, asked.wanted, asked.coming)
    assert len(found) > 3
    assert found[asked.wanted[-1]].low_s >= 60
    assert await forecaster.ask(asked) == found


async def test_when_the_process_dies_one_answer_is_missing_and_the_next_comes_from_another(
    forecaster,
):
    asked = question()
    found = await forecaster.ask(asked)
    os.kill(forecaster.pid, signal.SIGKILL)
    assert await forecaster.ask(asked) is None
    assert await forecaster.ask(asked) == found


async def test_an_answer_that_takes_too_long_is_not_waited_for():
    forecaster = Forecaster(answer_s=0.0)
    assert await forecaster.ask(question()) is None
    assert forecaster.pid is None


async def test_the_process_ends_with_whoever_asks():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, stdin=asyncio.subprocess.PIPE
    )
    process.stdin.close()
    async with asyncio.timeout(WAIT_S):
        assert await process.wait() == 0


async def test_a_queue_tells_when_its_sessions_will_start(world, node):
    told = asyncio.Queue()

    async def hear(changed):
        told.put_nowait({one.session_id: one.estimated_start for one in changed.entries})

    await telemetry.subscribe(world.client, queue_subject("default"), QueueChanged, hear)
    await world.client.flush()

    async def until(*session_ids):
        found = {}
        async with asyncio.timeout(WAIT_S):
            while None in (starts := [found.get(session_id) for session_id in session_ids]):
                found = await told.get()
        return starts

    for number in range(8):
        (session_id,) = await world.enqueued(f"short-{number}")
        spec = await node.run(session_id)
        await node.report(spec, "terminated", exit_code=0)
    (running,) = await world.enqueued("big", resources={"cpu": 4000})
    spec = await node.run(running)
    began = datetime.now(tz=UTC)
    (waiting,) = await world.enqueued("next", resources={"cpu": 4000})
    starts_at = began + timedelta(seconds=20)
    (later,) = await world.enqueued("later", starts_at=starts_at)
    (behind,) = await world.enqueued("behind", depends_on=(later,))

    start, of_later = await until(waiting, later)
    assert began - timedelta(seconds=1) <= start.low <= start.likely <= start.high
    assert of_later.low >= starts_at
    of_session = {one.session_id: one for one in (await world.queue()).entries}
    assert of_session[waiting].estimated_start is not None
    assert of_session[behind].estimated_start is None
    await node.report(spec, "terminated", exit_code=0)
    await world.terminate(behind)
    await world.terminate(later)
