"""What an append promises: all or nothing, in order, without gaps."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
import pytest

from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated, LoginEnded
from shared.eventlog.appending import EVENT_BYTES_MAX, META_BYTES_MAX, STREAM_BYTES_MAX
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import (
    StreamConflict,
)
from shared.eventlog.records import Appended, Claim, CommandKey, Write
from shared.testing.clock import FakeClock
from tests.eventlog.conftest import META, append, created, write

OpenLog = Callable[[], Awaitable[EventLog]]


async def test_events_of_several_streams_are_numbered_in_the_order_given(log: EventLog):
    appended = await log.append([write("a", 0, 2), write("b", 0), write("a", 2)], META)
    assert (appended.first, appended.last) == (1, 4)
    assert [(e.position, e.stream, e.version) for e in appended.recorded] == [
        (1, "domain-a", 1),
        (2, "domain-a", 2),
        (3, "domain-b", 1),
        (4, "domain-a", 3),
    ]
    assert (await log.load("domain-a")).version == 3
    assert [e.position async for e in log.fold_all()] == [1, 2, 3, 4]
    assert tuple([e async for e in log.fold_all()]) == appended.recorded


async def test_what_is_loaded_is_what_was_written(log: EventLog):
    odd = created("näme 'quoted' \\ \u2028", '{"not": "json"}\n\u0000')
    await log.append([Write(log.codec.stream_of(odd), 0, [odd])], META)
    assert (await log.load(log.codec.stream_of(odd))).events == (odd,)


async def test_an_unknown_stream_is_empty(log: EventLog):
    stream = await log.load("domain-none")
    assert (stream.version, stream.events) == (0, ())


async def test_each_write_of_a_batch_carries_its_own_meta(log: EventLog):
    other = Meta(actor=Actor(kind="user", id="ü"), correlation_id="c-2", causation_id="x")
    appended = await log.append([write("a"), write("b")._replace(meta=other)], META)
    assert [e.meta for e in appended.recorded] == [META, other]
    assert [e.meta async for e in log.fold_all()] == [META, other]


async def test_concurrent_appenders_leave_no_gap_and_positions_follow_commits(
    open_log: OpenLog,
):
    logs = [await open_log() for _ in range(3)]
    seen: list[int] = []
    done = asyncio.Event()

    async def read_along() -> None:
        """Read as a relay does: what appears later must never have a smaller position."""
        while not done.is_set() or await logs[0].head() > len(seen):
            seen.extend([e.position for e in await logs[0].read(len(seen), 1000)])

    async def fail(_connection: asyncpg.Connection) -> None:
        raise ZeroDivisionError

    async def one(number: int) -> None:
        log = logs[number % 3]
        if number % 5 == 0:
            with pytest.raises(ZeroDivisionError):
                await log.append([write(f"s{number}")], META, within=fail)
        elif number % 7 == 0:
            with pytest.raises(StreamConflict):
                await log.append([write(f"s{number}", 9)], META)
        else:
            await append(log, f"s{number}", count=1 + number % 3)

    reader = asyncio.create_task(read_along())
    await asyncio.gather(*(one(number) for number in range(150)))
    done.set()
    await reader
    written = sum(1 + n % 3 for n in range(150) if n % 5 and n % 7)
    assert seen == list(range(1, written + 1))
    assert (await logs[0].verify()).is_intact


async def test_of_two_writers_at_the_same_version_one_is_refused(open_log: OpenLog):
    first, second = await open_log(), await open_log()
    outcomes = await asyncio.gather(
        first.append([write("a", 0)], META),
        second.append([write("a", 0)], META),
        return_exceptions=True,
    )
    assert sorted(type(o) for o in outcomes if isinstance(o, StreamConflict)) == [StreamConflict]
    assert (await first.load("domain-a")).version == 1
    (conflict,) = [o for o in outcomes if isinstance(o, StreamConflict)]
    assert (conflict.stream, conflict.expected, conflict.actual) == ("domain-a", 0, 1)


async def test_a_refused_append_leaves_nothing_of_its_other_streams_claims_and_keys(
    log: EventLog,
):
    await append(log, "a")
    key = CommandKey("k", "d")
    claim = Claim("email", "x", "u1")
    with pytest.raises(StreamConflict):
        await log.append([write("b"), write("a", 0)], META, claims=[claim], command=key)
    assert await log.head() == 1
    assert await log.owner_of("email", "x") is None
    assert await log.find_command(key) is None


async def test_time_never_goes_back_in_the_log(log: EventLog):
    clock = FakeClock()
    log = EventLog(log.pool, log.codec, clock)
    clock.advance(3600)
    before = (await append(log, "a")).recorded[0]
    clock.jump(-3600)
    after = (await append(log, "a")).recorded[0]
    assert before.recorded_at == after.recorded_at
    clock.jump(7200)
    assert (await append(log, "a")).recorded[0].recorded_at == clock.now()


async def test_other_tables_change_with_the_events_or_not_at_all(log: EventLog):
    async def remember(connection: asyncpg.Connection) -> None:
        await connection.execute(
            "insert into snapshots (stream, version, state_version, state) values ('s', 1, 1, '')"
        )

    with pytest.raises(StreamConflict):
        await log.append([write("a", 1)], META, within=remember)
    assert await log.pool.fetchval("select count(*) from snapshots") == 0
    await log.append([write("a", 0)], META, within=remember)
    assert await log.pool.fetchval("select count(*) from snapshots") == 1


async def test_one_impossible_append_does_not_harm_those_that_share_its_commit(log: EventLog):
    poison = Claim("email", "\u0000", "u1")
    outcomes = await asyncio.gather(
        *(append(log, f"a{n}") for n in range(5)),
        log.append([write("b")], META, claims=[poison]),
        *(append(log, f"c{n}") for n in range(5)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[5], asyncpg.CharacterNotInRepertoireError)
    assert sum(isinstance(o, Appended) for o in outcomes) == 10
    assert await log.head() == 10
    assert (await log.verify()).is_intact


async def test_appends_that_share_a_commit_see_each_other(log: EventLog):
    outcomes = await asyncio.gather(
        append(log, "warm"),
        *(log.append([write("a", 0)], META, claims=[Claim("n", "x", "o")]) for _ in range(3)),
        return_exceptions=True,
    )
    assert [type(o) for o in outcomes] == [Appended, Appended, StreamConflict, StreamConflict]


async def test_an_append_whose_caller_left_before_its_turn_is_dropped(log: EventLog):
    first = asyncio.create_task(append(log, "first"))
    waiting = asyncio.create_task(append(log, "waiting"))
    last = asyncio.create_task(append(log, "last"))
    await asyncio.sleep(0)  # all three are in line now
    waiting.cancel()
    await asyncio.gather(first, last)
    assert [e.stream async for e in log.fold_all()] == ["domain-first", "domain-last"]


async def test_listeners_hear_of_commits_in_the_order_of_positions(log: EventLog):
    heard: list[int] = []
    stop = log.on_append(lambda appended: heard.extend(e.position for e in appended.recorded))
    await asyncio.gather(*(append(log, f"a{n}", 2) for n in range(20)))
    assert heard == list(range(1, 41))
    stop()
    await append(log, "z")
    assert len(heard) == 40


async def test_an_event_is_refused_in_a_stream_it_does_not_belong_to(log: EventLog):
    ended = LoginEnded(login_id="l", user_id="u", reason="logout")
    for stream in ("login-m", "user-l", "l"):
        with pytest.raises(ValueError, match="does not belong"):
            await log.append([Write(stream, None, [ended])], META)
    assert await log.head() == 0


@pytest.mark.parametrize(
    ("event", "meta", "complaint"),
    [
        (created("a", "x" * EVENT_BYTES_MAX), META, "bytes"),
        (created("ä" * (STREAM_BYTES_MAX // 2)), META, "too long"),
        (created(""), META, "does not belong"),
        (
            created("a"),
            msgspec.structs.replace(META, request_id="x" * META_BYTES_MAX),
            "meta of an event",
        ),
    ],
)
async def test_what_the_bus_could_not_carry_is_refused(
    log: EventLog, event: DomainCreated, meta: Meta, complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        await log.append([Write(log.codec.stream_of(event), 0, [event])], meta)
    assert await log.head() == 0


async def test_a_stream_written_twice_in_a_batch_must_agree_on_its_version(log: EventLog):
    with pytest.raises(ValueError, match="written twice"):
        await log.append([write("a", 0, 2), write("a", 1)], META)


async def test_the_service_itself_cannot_change_or_remove_an_event(log: EventLog):
    await append(log, "a")
    for statement in (
        "update events set data = '{}'",
        "delete from events",
        "truncate events",
        "drop table events",
        "alter table events add x int",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await log.pool.execute(statement)
