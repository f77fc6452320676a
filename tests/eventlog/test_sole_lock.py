"""A place is had by one at a time: who ended or fell silent loses it, who is busy does not."""

import asyncio

import asyncpg
import pytest
import pytest_asyncio

from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.sole_lock import LEASE_S, SoleLock
from shared.kernel.clock import SystemClock

CLASS = 0x716D_7E57


@pytest_asyncio.fixture(loop_scope="session")
async def rival(url):
    """Give rivals for one place, each on a connection of its own."""
    connections = []

    async def another(name="a-place"):
        connections.append(await asyncpg.connect(url))
        return SoleLock(connections[-1], CLASS, name)

    another.connections = connections
    yield another
    for connection in connections:
        connection.terminate()


async def test_who_is_silent_loses_the_place_and_hears_of_it(rival):
    silent, waiting = await rival(), await rival()
    await silent.take()
    await waiting.take()
    assert SystemClock().monotonic() > silent.sure_until
    with pytest.raises(LogUnavailable):
        await silent.keep()


async def test_who_proves_its_life_keeps_the_place(rival):
    holder, waiting = await rival(), await rival()
    await holder.take()
    keeping = asyncio.create_task(holder.keep())
    trying = asyncio.create_task(waiting.take())
    done, _ = await asyncio.wait([keeping, trying], timeout=LEASE_S * 1.6)
    assert not done
    keeping.cancel()
    rival.connections[0].terminate()
    await trying


async def test_places_of_other_names_are_in_nobody_s_way(rival):
    one, other, waiting = await rival("one"), await rival("-70"), await rival("one")
    await one.take()
    await other.take()
    keeping = asyncio.create_task(one.keep())
    trying = asyncio.create_task(waiting.take())
    # the other is silent, but nobody waits for it
    await asyncio.wait([trying], timeout=LEASE_S * 1.2)
    assert not trying.done()
    assert not rival.connections[1].is_closed()
    for task in (keeping, trying):
        task.cancel()
    await asyncio.gather(keeping, trying, return_exceptions=True)
