"""Who leads, when the one before has ended, lost its connection, or only sleeps."""

import asyncio

import asyncpg
import pytest
import pytest_asyncio

from services.scheduler.leadership import Leadership
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import StaleEpoch
from shared.eventlog.pool import open_pool
from shared.kernel.clock import SystemClock


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres):
    return await postgres.database("scheduler")


@pytest_asyncio.fixture(loop_scope="session")
async def candidate(url):
    pool = await open_pool(url, name="leadership-test")
    keepers = []

    def another():
        made = Leadership(EventLog(pool, codec_for("scheduler")), url, SystemClock())
        made.keepers = keepers
        return made

    yield another
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    pool.terminate()


def keep(leadership):
    keeper = asyncio.create_task(leadership.keep())
    leadership.keepers.append(keeper)
    return keeper


async def end_holder(url):
    """End the connection that holds the place, if one does, as a network that is cut would."""
    own = await asyncpg.connect(url)
    await own.execute(
        "select pg_terminate_backend(a.pid, 5000)"
        " from pg_locks l join pg_stat_activity a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and a.datname = current_database()"
    )
    await own.close()


async def test_the_next_leader_waits_for_the_place_and_gets_a_higher_epoch(candidate):
    first, second = candidate(), candidate()
    epoch = await first.win()
    keeper = keep(first)
    waiting = asyncio.create_task(second.win())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    assert await waiting > epoch
    keep(second)


async def test_a_leader_that_was_cut_off_stops_once_another_leads(candidate, url):
    first, second = candidate(), candidate()
    epoch = await first.win()
    keeper = keep(first)
    await first.confirm()
    waiting = asyncio.create_task(second.win())
    while not waiting.done():
        # the first may be the faster one, and have its place back
        await end_holder(url)
        await asyncio.wait([waiting], timeout=1)
    assert waiting.result() > epoch
    keep(second)
    with pytest.raises(StaleEpoch):
        await first.confirm()
    with pytest.raises(StaleEpoch):
        await keeper
    await second.confirm()


async def test_a_leader_that_has_its_place_back_finds_out_who_had_it_meanwhile(candidate, url):
    first, second = candidate(), candidate()
    await first.win()
    waiting = asyncio.create_task(second.win())
    while not waiting.done():
        await end_holder(url)
        await asyncio.wait([waiting], timeout=1)
    keeper = keep(second)
    await second.confirm()
    await asyncio.sleep(0)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    # nobody stands in its way now, but what it knows is of before
    with pytest.raises(StaleEpoch):
        await keep(first)
