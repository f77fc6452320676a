"""A reader gives out a stream in order, or says that it is lost; it never waits in silence."""

import asyncio

import psutil
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from shared.messaging import reader as reader_module
from shared.messaging.reader import BATCH, MAX_BYTES, Delivery, ReaderLostError, StreamReader
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.messaging.conftest import DEADLINE_S

STREAM = "numbers"


async def fill(nats: Client, count: int, size_bytes: int = 1) -> None:
    """Make the stream if it is missing and publish messages."""
    js = nats.jetstream()
    await js.add_stream(StreamConfig(name=STREAM, subjects=["n.*"]))
    for first in range(0, count, 200):
        await asyncio.gather(
            *(
                js.publish(f"n.{number % 7}", b"x" * size_bytes)
                for number in range(first, min(first + 200, count))
            )
        )


async def take(reader: StreamReader, count: int) -> list[Delivery]:
    """Read until `count` messages are there."""
    taken: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(taken) < count:
            taken += await reader.next()
    return taken


async def test_everything_after_a_position_comes_in_order(nats: Client):
    count = 2 * BATCH + 100
    await fill(nats, count)
    async with StreamReader(nats, STREAM, 50) as reader:
        assert reader.last_sequence == count
        assert not reader.is_caught_up
        taken = await take(reader, count - 50)
        assert [each.sequence for each in taken] == list(range(51, count + 1))
        assert reader.is_caught_up
        await fill(nats, 1)
        assert (await take(reader, 1))[0].sequence == count + 1


async def test_a_reader_may_start_past_the_end(nats: Client):
    await fill(nats, 1)
    async with StreamReader(nats, STREAM, 3) as reader:
        await fill(nats, 3)
        assert (await take(reader, 1))[0].sequence == 4


async def test_more_bytes_than_one_request_may_hold_come_in_several(nats: Client):
    size_bytes = 900_000
    count = 2 * MAX_BYTES // size_bytes
    await fill(nats, count, size_bytes)
    async with StreamReader(nats, STREAM) as reader:
        taken = await take(reader, count)
    assert [each.sequence for each in taken] == list(range(1, count + 1))


async def test_the_newest_of_each_subject_then_what_follows(nats: Client):
    await fill(nats, 20)
    async with StreamReader(nats, STREAM, newest_of=("n.1", "n.5")) as reader:
        assert not reader.is_caught_up
        taken = await take(reader, 2)
        assert reader.is_caught_up
        assert [(each.subject, each.sequence) for each in taken] == [("n.1", 16), ("n.5", 20)]
        await nats.jetstream().publish("n.2", b"")
        await nats.jetstream().publish("n.5", b"")
        assert (await take(reader, 1))[0].sequence == 22


async def test_a_stream_that_does_not_exist_cannot_be_read(nats: Client):
    with pytest.raises(ReaderLostError):
        async with StreamReader(nats, "nowhere"):
            pass


async def test_a_reader_whose_stream_is_deleted_is_lost(nats: Client, impatient: None):
    await fill(nats, 1)
    async with StreamReader(nats, STREAM, 1) as reader:
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        await nats.jetstream().delete_stream(STREAM)
        with pytest.raises(ReaderLostError):
            async with asyncio.timeout(DEADLINE_S):
                await waiting


async def test_a_reader_of_a_killed_server_is_lost(nats: Client, nats_server: NatsServer):
    await fill(nats, 1)
    async with StreamReader(nats, STREAM, 1) as reader:
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        await nats_server.kill()
        await nats_server.start()
        with pytest.raises(ReaderLostError):
            async with asyncio.timeout(DEADLINE_S):
                await waiting


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make heartbeats frequent, so that their absence shows soon."""
    monkeypatch.setattr(reader_module, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(reader_module, "SILENCE_S", 0.5)


async def test_a_quiet_stream_is_not_a_lost_one(nats: Client, impatient: None):
    await fill(nats, 1)
    async with StreamReader(nats, STREAM, 1) as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await reader.next()
        await fill(nats, 1)
        assert (await take(reader, 1))[0].sequence == 2


async def test_a_server_that_hangs_is_noticed_by_its_silence(
    nats: Client, nats_server: NatsServer, impatient: None
):
    await fill(nats, 1)
    child = nats_server.embedded.child
    assert child is not None
    async with StreamReader(nats, STREAM, 1) as reader:
        process = psutil.Process(child.pid)
        process.suspend()
        try:
            with pytest.raises(ReaderLostError, match="silent"):
                async with asyncio.timeout(DEADLINE_S):
                    await reader.next()
        finally:
            process.resume()


async def test_closing_a_reader_leaves_no_consumer_behind(nats: Client):
    await fill(nats, 1)
    js = nats.jetstream()
    async with StreamReader(nats, STREAM) as reader:
        await take(reader, 1)
        assert len(await js.consumers_info(STREAM)) == 1

    async def is_gone() -> bool:
        return not await js.consumers_info(STREAM)

    await eventually(is_gone)
