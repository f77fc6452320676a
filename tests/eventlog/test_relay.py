"""The stream equals the log, whatever happens to either side's connection, tail or disk."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from shared.contracts.subjects import event_stream
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated, LogUnavailable
from shared.eventlog.records import CommandKey
from shared.eventlog.relay import LogBehindStream, Relay
from shared.eventlog.verify import verify_stream
from shared.messaging import connection
from shared.messaging.cloudevents import read_event
from shared.testing.eventually import DEADLINE_S, eventually
from shared.testing.servers import NatsServer
from tests.eventlog.conftest import META, append, write

STREAM = event_stream("users")
OpenLog = Callable[[], Awaitable[EventLog]]


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await client.close()


@asynccontextmanager
async def relaying(log: EventLog, nats: Client) -> AsyncIterator[Relay]:
    relay = Relay(log, nats)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def reached(nats: Client, position: int) -> None:
    """Wait until the stream holds everything up to a position, and nothing else."""
    js = nats.jetstream(timeout=1)

    async def holds() -> bool:
        with suppress(NotFoundError, TimeoutError, *connection.AWAY):
            state = (await js.stream_info(STREAM)).state
            assert state.last_seq <= position
            return bool(state.last_seq == position == state.messages)
        return False

    await eventually(holds)


async def assert_equal(log: EventLog, nats: Client) -> None:
    report = await verify_stream(log, nats.jetstream())
    assert (report.damage, report.behind, report.events) == (None, 0, await log.head())


async def test_the_stream_holds_each_event_at_its_position_byte_for_byte(
    log: EventLog, nats: Client
):
    async with relaying(log, nats):
        await asyncio.gather(*(append(log, f"ü {n}", 3) for n in range(20)))
        await reached(nats, 60)
    js = nats.jetstream()
    for stored in await log.read(0, 100):
        message = await js.get_msg(STREAM, stored.position)
        assert read_event(message.headers or {}, message.data or b"") == stored
        assert (
            message.subject
            == "evt.users.domain." + stored.stream[7:].replace("ü ", "=C3=BC=20") + ".DomainCreated"
        )
    await assert_equal(log, nats)


async def test_what_was_appended_before_the_relay_started_is_published_too(
    log: EventLog, nats: Client
):
    await append(log, "a", 700)
    async with relaying(log, nats):
        await reached(nats, 700)
    await assert_equal(log, nats)


async def test_a_restarted_relay_continues_where_the_stream_ends(log: EventLog, nats: Client):
    for number in range(1, 4):
        async with relaying(log, nats):
            await append(log, f"a{number}", 10)
            await reached(nats, number * 10)
        await append(log, f"b{number}", 0)
    await assert_equal(log, nats)


async def test_an_append_of_another_process_is_published(open_log: OpenLog, nats: Client):
    ours, theirs = await open_log(), await open_log()
    async with relaying(ours, nats):
        await append(ours, "a")
        await reached(nats, 1)
        await append(theirs, "b")
        await reached(nats, 2)


async def test_a_second_relay_stands_by_and_takes_over(open_log: OpenLog, nats: Client):
    first, second = await open_log(), await open_log()
    async with relaying(second, nats) as spare:
        await eventually(lambda: spare.check().detail == "leading")
        async with relaying(first, nats) as standby:
            await eventually(lambda: standby.check().detail == "standing by")
            await append(first, "a", 5)
            await append(second, "b", 5)
            await reached(nats, 10)
    async with relaying(first, nats):
        await append(first, "c", 5)
        await reached(nats, 15)
    await assert_equal(first, nats)


class _LockFree(Relay):
    """A relay that believes it holds the lock, as one that wakes from a long pause does."""

    async def _try_lock(self, connection: asyncpg.Connection) -> bool:
        return True


async def test_two_active_relays_do_no_harm(open_log: OpenLog, nats: Client):
    first, second = await open_log(), await open_log()
    relays = [_LockFree(first, nats), _LockFree(second, nats)]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        for number in range(30):
            await asyncio.gather(append(first, f"a{number}", 5), append(second, f"b{number}", 5))
        await reached(nats, 300)
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await assert_equal(first, nats)


async def test_a_stream_deleted_under_the_relay_is_published_again(log: EventLog, nats: Client):
    async with relaying(log, nats):
        await append(log, "a", 20)
        await reached(nats, 20)
        await nats.jetstream().delete_stream(STREAM)
        await reached(nats, 20)
        await append(log, "b", 5)
        await reached(nats, 25)
    await assert_equal(log, nats)


async def test_a_wiped_jetstream_directory_is_filled_again(
    log: EventLog, nats: Client, nats_server: NatsServer
):
    async with relaying(log, nats):
        await append(log, "a", 300)
        await reached(nats, 300)
        await nats_server.stop()
        nats_server.wipe()
        await append(log, "b", 10)  # NATS away does not stop the log
        await nats_server.start()
        await reached(nats, 310)
    await assert_equal(log, nats)


@pytest.mark.parametrize("stop_cleanly", [False, True], ids=["killed", "stopped cleanly"])
async def test_a_truncated_tail_is_published_again(
    log: EventLog, nats: Client, nats_server: NatsServer, *, stop_cleanly: bool
):
    async with relaying(log, nats):
        await append(log, "a", 50)
        await reached(nats, 50)
        # after a clean stop the server remembers the last sequence and finds its events missing
        await (nats_server.stop() if stop_cleanly else nats_server.kill())
        (block,) = _blocks(nats_server)
        os.truncate(block, block.stat().st_size * 2 // 3)
        await append(log, "b", 10)
        await nats_server.start()
        await reached(nats, 60)
    await assert_equal(log, nats)


def _blocks(server: NatsServer) -> list[Path]:
    return [path for path in server._directory.rglob("*.blk") if STREAM in path.parts]


async def test_a_killed_server_and_a_busy_log_end_up_equal(
    log: EventLog, nats: Client, nats_server: NatsServer
):
    async with relaying(log, nats):
        for number in range(3):
            await asyncio.gather(
                *(append(log, f"a{number}{n}", 5) for n in range(40)), nats_server.kill()
            )
            await nats_server.start()
        await reached(nats, 600)
    await assert_equal(log, nats)


async def test_the_relay_survives_the_loss_of_its_postgres_connections(
    admin: asyncpg.Connection, log: EventLog, nats: Client
):
    async with relaying(log, nats):
        await append(log, "a", 5)
        await reached(nats, 5)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        key = CommandKey("k", "d")
        for _ in range(10):  # one dead connection of the pool after the other is noticed
            with suppress(LogUnavailable, CommandRepeated):
                await log.append([write("b", 0, 5)], META, command=key)
        await reached(nats, 10)
    await assert_equal(log, nats)


async def _forget_after(admin: asyncpg.Connection, position: int) -> None:
    """Put Postgres back to an earlier point, as restoring an old backup does."""
    async with admin.transaction():
        await admin.execute("delete from events where position > $1", position)
        await admin.execute(
            "update log_head set position = $1,"
            " hash = (select hash from events where position = $1)",
            position,
        )


async def test_a_log_behind_its_stream_stops_the_relay_with_an_alarm(
    log: EventLog, nats: Client, admin: asyncpg.Connection
):
    async with relaying(log, nats):
        await append(log, "a", 10)
        await reached(nats, 10)
    await _forget_after(admin, 6)
    relay = Relay(log, nats)
    with pytest.raises(LogBehindStream, match="the stream is at 10, the log only at 6"):
        async with asyncio.timeout(DEADLINE_S):
            await relay.run()
    assert relay.check().state != "ok"
    report = await verify_stream(log, nats.jetstream())
    assert report.damage is not None
    assert report.damage.position == 7


async def test_a_log_that_was_restored_and_written_again_is_not_mixed_with_the_old_stream(
    log: EventLog, nats: Client, admin: asyncpg.Connection
):
    async with relaying(log, nats):
        await append(log, "a", 10)
        await reached(nats, 10)
    await _forget_after(admin, 6)
    await append(log, "other", 20)
    with pytest.raises(LogBehindStream, match="event 10 of the stream"):
        async with asyncio.timeout(DEADLINE_S):
            await Relay(log, nats).run()
    assert (await nats.jetstream().stream_info(STREAM)).state.last_seq == 10
    report = await verify_stream(log, nats.jetstream())
    assert report.damage is not None
    assert report.damage.position == 7


async def test_lag_is_known_and_unhealthy_while_nats_is_away(
    log: EventLog, nats: Client, nats_server: NatsServer
):
    async with relaying(log, nats) as relay:
        await append(log, "a", 5)
        await reached(nats, 5)
        await eventually(lambda: relay.lag == 0)
        assert relay.check().state == "ok"
        await nats_server.stop()
        await append(log, "b", 5)
        await eventually(lambda: relay.check().state != "ok")
        await nats_server.start()
        await reached(nats, 10)
        await eventually(lambda: relay.check().state == "ok")
