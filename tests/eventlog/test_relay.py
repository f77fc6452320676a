"""The stream equals the log, byte for byte, whoever relays."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.client import Client

from shared.contracts.users import DomainCreated, LoginEnded
from shared.eventlog.appending import EVENT_BYTES_MAX
from shared.eventlog.codec import EventCodec
from shared.eventlog.log import EventLog
from shared.eventlog.records import Write
from shared.eventlog.relay import Relay
from shared.eventlog.sole_lock import SoleLock
from shared.messaging.cloudevents import read_event
from shared.testing.eventually import eventually
from tests.eventlog.conftest import META, append
from tests.eventlog.relaying import STREAM, assert_equal, reached, relaying

OpenLog = Callable[[], Awaitable[EventLog]]


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


async def test_the_largest_and_oddest_events_get_through(log: EventLog, nats: Client):
    name = "a/b:c.d *>%=\u20ac " + "ä" * 200
    odd = DomainCreated(name=name, description="x" * (EVENT_BYTES_MAX - 1000))
    meta = msgspec.structs.replace(
        META, correlation_id="ü\r\n: x", request_id="\u20ac" * 8000, client_address="::1\n"
    )
    async with relaying(log, nats):
        await log.append([Write(log.codec.stream_of(odd), 0, [odd])], meta)
        await reached(nats, 1)
    await assert_equal(log, nats)


async def test_events_of_a_newer_release_are_published_too(log: EventLog, nats: Client):
    await append(log, "a")
    older = EventLog(log.pool, EventCodec("users", LoginEnded))
    async with relaying(older, nats):
        await reached(nats, 1)
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

    async def _take(self, lock: SoleLock) -> asyncio.Task[None]:
        return asyncio.create_task(lock.keep())


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
