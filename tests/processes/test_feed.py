"""From a service's stream through a process to another service's log, on real parts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import pytest_asyncio
from nats.aio.client import Client

from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.users import DomainCreated, LoginEnded, LogOut
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import CommandRepeated
from shared.eventlog.records import Write
from shared.eventlog.relay import Relay
from shared.messaging import connection
from shared.messaging.broker import make_broker
from shared.messaging.commands import CommandClient, CommandContext, CommandServer, Outcome
from shared.processes.feed import EventFeed
from shared.processes.manager import ProcessManager
from shared.processes.timers import TimerQueue
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.processes.conftest import OpenLog, found
from tests.processes.transfer import CODEC, TRANSFER

META = Meta(actor=Actor(kind="user", id="u-1"), correlation_id="request-1")
PROCESSES = 10


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await connection.close(client)


@asynccontextmanager
async def service(log: EventLog, nats: Client) -> AsyncIterator[None]:
    """One life of a service that owns the log, does the commands and runs the process."""

    async def log_out(command: LogOut, context: CommandContext) -> Outcome:
        ended = LoginEnded(login_id=command.login_id, user_id=command.user_id, reason="logout")
        try:
            appended = await log.append(
                [Write(f"login-{command.login_id}", None, [ended])],
                context.meta,
                command=context.idempotency,
            )
        except CommandRepeated as repeated:
            return Accepted(service="users", position=repeated.done.position)
        return Accepted(service="users", position=appended.last)

    async with AsyncExitStack() as stack:
        broker = make_broker(nats, "users")
        server = CommandServer(broker, "users")
        server.handle(LogOut, log_out)
        await broker.start()
        stack.push_async_callback(server.stop)
        timers = TimerQueue(log.pool, log._clock)
        manager = ProcessManager(TRANSFER, log, CommandClient(nats, "users"), timers, log._clock)
        feed = EventFeed("transfer", log.pool, nats, {"users": CODEC}, manager.take_event)
        parts = [Relay(log, nats).run(), timers.run(), manager.run(), feed.run()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


DONE = """
    select count(distinct stream) from events
        where type = 'ProcessAdvanced' and (data->>'is_done')::boolean
"""


async def has_written(log: EventLog, events: int) -> bool:
    return await log.head() >= events


async def test_every_process_runs_once_though_the_service_is_restarted_again_and_again(
    open_log: OpenLog, nats: Client
):
    log = await open_log()
    for number in range(PROCESSES):
        created = DomainCreated(name=f"d{number}")
        await log.append([Write(f"domain-d{number}", 0, [created])], META)
    for life in range(3):
        async with service(await open_log(), nats):
            await eventually(partial(has_written, log, PROCESSES * (1 + life)))
    async with service(await open_log(), nats):
        await found(log, DONE, PROCESSES)
    ended = [e.event async for e in log.fold_all() if isinstance(e.event, LoginEnded)]
    assert sorted(e.login_id for e in ended) == sorted(
        f"d{number} {step}" for number in range(PROCESSES) for step in ("out", "in")
    )
    assert (await log.verify()).is_intact


async def test_the_feed_continues_where_it_had_got_to(open_log: OpenLog, nats: Client):
    log = await open_log()
    taken: list[int] = []

    async def take(recorded: object) -> None:
        taken.append(recorded.position)  # type: ignore[attr-defined]  # it is a Recorded

    async def fed(up_to: int) -> None:
        relay = asyncio.create_task(Relay(log, nats).run())
        feed = asyncio.create_task(EventFeed("test", log.pool, nats, {"users": CODEC}, take).run())
        position = "select position from checkpoints where projection = 'test'"
        try:
            await found(log, position, up_to)
        finally:
            for task in (relay, feed):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    for end in (5, 10, 15):
        await log.append([Write("domain-x", None, [DomainCreated(name="x")] * 5)], META)
        await fed(end)
    assert taken == list(range(1, 16))
