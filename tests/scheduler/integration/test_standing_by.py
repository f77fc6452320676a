"""Who waits for the leadership keeps its books up to date, so that it has little left to read."""

import asyncio

import asyncpg
import pytest_asyncio

from services.scheduler.books import Books
from services.scheduler.folding import Folding
from shared.testing.eventually import eventually
from tests.scheduler.integration.leader import AGENT, Running


@pytest_asyncio.fixture(loop_scope="session")
async def leader(event_log):
    running = await Running(event_log).start()
    yield running
    await running.stop()


async def lived(leader, turn):
    """Let sessions come and go; return where the log ends then."""
    names = [f"s{turn}-{number}" for number in range(20)]
    await asyncio.gather(*(leader.enqueue(name) for name in names))
    for name in names[:10]:
        await leader.terminate(name)
    return await leader.log.head()


async def reached(folding, position):
    async def has_reached():
        return folding.position == position

    await eventually(has_reached)


async def test_books_that_kept_up_are_those_of_the_leader(leader):
    folding = Folding(Books(), leader.log)
    async with folding.keeping_up():
        for turn in range(2):
            await reached(folding, await lived(leader, turn))
    await lived(leader, 2)
    await folding.catch_up()
    folding.books.put_agent(AGENT)
    assert folding.position == await leader.log.head()
    assert folding.books.state() == leader.writer.books.state()


async def test_who_wins_in_the_middle_of_reading_misses_nothing_and_reads_nothing_twice(
    leader, monkeypatch
):
    monkeypatch.setattr("shared.eventlog.log.FOLD_BATCH", 5)
    head = await lived(leader, 0)
    stopped_at = set()
    for turns in range(0, 60, 3):
        folding = Folding(Books(), leader.log)
        async with folding.keeping_up():
            for _ in range(turns):
                await asyncio.sleep(0)
        stopped_at.add(folding.position)
        await folding.catch_up()
        folding.books.put_agent(AGENT)
        assert folding.books.state() == leader.writer.books.state()
    assert stopped_at - {0, head}


async def test_a_database_that_is_away_for_a_while_is_read_again(leader, postgres):
    folding = Folding(Books(), leader.log)
    async with folding.keeping_up():
        await reached(folding, await lived(leader, 0))
        admin = await asyncpg.connect(postgres.server.admin_url())
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        )
        await admin.close()
        await reached(folding, await lived(leader, 1))
