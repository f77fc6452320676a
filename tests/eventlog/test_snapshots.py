"""A snapshot saves reading, and changes nothing else."""

import asyncpg
import msgspec
import pytest

from shared.contracts.base import Event
from shared.contracts.users import DomainCreated
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.snapshots import Loaded, Snapshots
from tests.eventlog.conftest import append


class Seen(msgspec.Struct, frozen=True):
    descriptions: tuple[str, ...] = ()


def evolve(state: Seen, event: Event) -> Seen:
    assert isinstance(event, DomainCreated)
    return Seen((*state.descriptions, event.description))


DECIDER = Decider(Seen(), evolve, lambda _state, _command, _context: ())


def snapshots(log: EventLog, state_version: int = 1) -> Snapshots[Seen]:
    return Snapshots(log, DECIDER, Seen, state_version, worth_events=10)


async def whole(log: EventLog) -> Loaded[Seen]:
    stream = await log.load("domain-a")
    return Loaded(DECIDER.fold(stream.events), stream.version)


async def test_the_state_is_the_same_with_and_without_a_snapshot(log: EventLog):
    for count in (3, 9, 1, 25, 1):
        await append(log, "a", count)
        assert await snapshots(log).load("domain-a") == await whole(log)
        assert await snapshots(log).load("domain-a") == await whole(log)


async def test_only_events_since_the_snapshot_are_read(log: EventLog, admin: asyncpg.Connection):
    await append(log, "a", 20)
    expected = await snapshots(log).load("domain-a")
    await admin.execute("delete from events where version <= 20")  # so they cannot be read
    assert await snapshots(log).load("domain-a") == expected


async def test_a_short_stream_gets_no_snapshot(log: EventLog):
    await append(log, "a", 9)
    await snapshots(log).load("domain-a")
    assert await log.pool.fetchval("select count(*) from snapshots") == 0


async def test_a_snapshot_of_another_shape_is_ignored_and_replaced(log: EventLog):
    await append(log, "a", 20)
    await snapshots(log, state_version=1).load("domain-a")
    assert await snapshots(log, state_version=2).load("domain-a") == await whole(log)
    assert await log.pool.fetchval("select state_version from snapshots") == 2
    assert await snapshots(log, state_version=1).load("domain-a") == await whole(log)
    assert await log.pool.fetchval("select state_version from snapshots") == 2


@pytest.mark.parametrize("stream", ["domain-none", "login-none"])
async def test_an_unknown_stream_is_the_initial_state(log: EventLog, stream: str):
    assert await snapshots(log).load(stream) == Loaded(Seen(), 0)
