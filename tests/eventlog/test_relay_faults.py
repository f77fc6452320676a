"""What a relay does when a side of it is away, has lost something, or is another than it was."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from nats.aio.client import Client

from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated, LogUnavailable
from shared.eventlog.records import CommandKey
from shared.eventlog.relay import LogBehindStream, Relay
from shared.eventlog.verify import verify_stream
from shared.testing.eventually import DEADLINE_S, eventually
from shared.testing.servers import NatsServer
from tests.eventlog.conftest import META, append, write
from tests.eventlog.relaying import STREAM, assert_equal, reached, relaying

OpenLog = Callable[[], Awaitable[EventLog]]


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


async def test_a_cancellation_that_a_library_swallows_still_ends_the_relay(
    log: EventLog, nats: Client
):
    asked = asyncio.Event()

    class Swallowed(Relay):
        async def _synchronise(self) -> int:
            asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            return await super()._synchronise()

    task = asyncio.create_task(Swallowed(log, nats).run())
    await asked.wait()
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE_S)
    assert task.cancelled()
