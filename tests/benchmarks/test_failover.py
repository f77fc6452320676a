"""How long nobody leads after `kill -9` of the scheduler when its log is long."""

import time

import pytest

from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Write
from shared.testing.services import ServiceProcess
from tests.benchmarks.figures import beside
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import META, world_of
from tests.scheduler.unit.sessions import running

SESSIONS = 10_000
AT_ONCE = 250
BUDGET_S = 5.0
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def life(number):
    """Return the events of a session that has ended."""
    session = running(session_id=f"past-{number}")
    session.report("terminated", exit_code=0)
    return session.events


async def fill(url):
    """Put sessions that have ended into the log; return how many events it has then."""
    pool = await open_pool(url, name="benchmark")
    log = EventLog(pool, codec_for("scheduler"))
    for start in range(0, SESSIONS, AT_ONCE):
        lives = [life(number) for number in range(start, start + AT_ONCE)]
        writes = [Write(f"session-{events[0].session_id}", None, tuple(events)) for events in lives]
        await log.append(writes, META)
    head = await log.head()
    pool.terminate()
    return head


async def ready_s(process, begin):
    """Return how long it takes from `begin` until a scheduler serves."""
    began = time.perf_counter()
    await begin()
    await process.wait_for("ready")
    return time.perf_counter() - began


async def test_a_successor_has_read_the_log_before_it_is_needed(
    postgres, nats_server, tmp_path, show
):
    async with world_of(postgres, nats_server, tmp_path) as world:
        await FakeNode(world, "n1", cpu=8).connect()
        await world.enqueued("first")  # so the resource group is in the log
        await world.service.kill()
        events = await fill(world.service.environ["QM_DATABASE_URL"])
        cold_s = await ready_s(world.service, world.service.spawn)
        successor = ServiceProcess("scheduler", world.service.environ)
        await successor.spawn()
        try:
            await successor.wait_for("keeping_up")
            warm_s = await ready_s(successor, world.service.kill)
            folded = await successor.wait_for("folded")
        finally:
            await successor.stop()
    show(
        f"kill -9 of the leader to the next one, ready: {beside(warm_s, BUDGET_S, 's')}"
        f"; a log of {events:,} events, which a new start reads in {cold_s:.1f} s"
    )
    assert folded["while_standing_by"] >= events
