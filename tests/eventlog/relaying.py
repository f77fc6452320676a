"""A relay at work, and how a test sees that the stream equals the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from shared.contracts.subjects import event_stream
from shared.eventlog.log import EventLog
from shared.eventlog.relay import Relay
from shared.eventlog.verify import verify_stream
from shared.messaging import connection
from shared.testing.eventually import eventually

STREAM = event_stream("users")
OpenLog = Callable[[], Awaitable[EventLog]]


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
