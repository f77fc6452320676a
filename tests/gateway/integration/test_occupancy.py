"""Who holds how much: always what the sessions add up to, however the events come in batches."""

import random

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.actions.recount import recount
from services.gateway.projections.sessions import SessionsProjection
from shared.eventlog.pool import open_pool
from shared.projections.generations import Generations
from shared.projections.projection import Tables
from tests.gateway.integration.session_stories import lives, reckoned, recorded, told

TABLES = Tables(SessionsProjection.tables, 1)


@pytest_asyncio.fixture(loop_scope="session")
async def pool(postgres):
    made = await open_pool(await postgres.database("gateway"), name="occupancy")
    await Generations(SessionsProjection()).prepare(made)
    yield made
    made.terminate()


def interleaved(stories, chosen):
    """Mix the lives of sessions as a log would, each in its own order."""
    left = [list(story) for story in stories]
    while left := [story for story in left if story]:
        yield chosen.choice(left).pop(0)


async def counted(pool):
    """Return what the read model says, without the counters that are back at nothing."""
    rows = await pool.fetch("select * from occupancy")
    return tuple(
        {(row["scope"], row["id"], row["slot"]): int(row[part]) for row in rows if row[part]}
        for part in ("held", "waiting")
    )


@settings(max_examples=30, suppress_health_check=(HealthCheck.function_scoped_fixture,))
@given(lives=lives, seed=st.integers(0, 999), stop=st.floats(0, 1))
async def test_the_counters_are_what_all_sessions_add_up_to(pool, lives, seed, stop):
    chosen = random.Random(seed)
    stories = [told(f"s{number}", life) for number, life in enumerate(lives)]
    events = list(interleaved(stories, chosen))
    events = recorded(events[: 1 + int(stop * (len(events) - 1))])
    projection = SessionsProjection()
    async with pool.acquire() as tx:
        for table in TABLES:
            await tx.execute(f"truncate {TABLES(table)}")
        left = list(events)
        while left:
            size = chosen.choice((1, 2, 3, 7, 50))
            async with tx.transaction():
                await projection.apply(tx, TABLES, "scheduler", left[:size])
            left = left[size:]
    held, waiting = reckoned([item.event for item in events])
    assert await counted(pool) == (dict(held), dict(waiting))
    # counted anew, nothing differs; what somebody has spoilt is told, and is as it was
    assert await recount(pool) == []
    if not held:
        return
    spoilt = chosen.choice(sorted(held))
    await pool.execute(
        "update occupancy set held = held + 1000 where (scope, id, slot) = ($1, $2, $3)", *spoilt
    )
    await pool.execute("insert into occupancy values ('user', 'nobody', 'cpu', 0, 2000)")
    await pool.execute("delete from occupancy where (scope, id, slot) = ($1, $2, $3)", *min(held))
    assert {one.kind for one in await recount(pool)} == {"shown-usage", "shown-pending"}
    assert await counted(pool) == (dict(held), dict(waiting))
    assert await recount(pool) == []
