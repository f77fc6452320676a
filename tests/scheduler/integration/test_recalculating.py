"""The books against the log and the nodes: what is wrong is told, corrected; else nothing is."""

import asyncio
from datetime import timedelta

import msgspec
import pytest_asyncio

from services.scheduler.node_differences import NodeDifferences
from services.scheduler.recalculating import Recalculation
from services.scheduler.usage import differences
from shared.contracts.base import Accepted
from shared.contracts.scheduler import RecalculateUsage, UsageDifference, UsageRecalculated
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.messaging.commands import CommandContext
from tests.scheduler.integration.leader import AGENT, META, Running, fold


@pytest_asyncio.fixture(loop_scope="session")
async def running(event_log):
    running = await Running(event_log).start()
    yield running
    await running.stop()


def recalculation(running):
    return Recalculation(running.writer, running.log, NodeDifferences())


async def recalculate(running, key=None):
    context = CommandContext(
        meta=META,
        idempotency=CommandKey(key, "") if key else None,
        deadline=running.clock.now() + timedelta(seconds=30),
        command_id=new_id(),
    )
    outcome = await recalculation(running).handle(RecalculateUsage(), context)
    assert isinstance(outcome, Accepted), outcome
    found = msgspec.convert(outcome.result["differences"], list[UsageDifference])
    assert outcome.result["corrected"] == len(found)
    return found


async def load(running, count=6):
    for number in range(count):
        await running.enqueue(f"s{number}", access_key="AK")


async def test_with_nothing_wrong_nothing_is_found_nor_written(running):
    await load(running)
    await running.terminate("s0")
    head = await running.log.head()
    assert await recalculate(running) == []
    assert await running.log.head() == head


async def test_what_the_books_hold_wrongly_is_told_and_corrected_once(running):
    await load(running)
    books = running.writer.books
    booked = next(iter(books.sessions["s0"].kernels))
    books.cluster.release(booked.kernel_id)
    books.ledgers.refund("s1")
    books.pending.enter(books.sessions["s5"].request, {"cpu": 7000})
    del books.sessions["s2"]
    found = await recalculate(running)
    assert {(one.kind, one.agent_id or one.scope, one.slot) for one in found} >= {
        ("agent-usage", AGENT.agent_id, "cpu"),
        ("agent-usage", AGENT.agent_id, "kernels"),
        ("pending-usage", "keypair:AK", "cpu"),
        ("pending-usage", "keypair:AK", "sessions"),
    }
    (state,) = [one for one in found if one.kind == "session-state"]
    assert (state.session_id, state.before) == ("s2", "absent")
    lived, fresh = running.writer.books, await fold(running.log)
    assert differences(lived, fresh) == []
    assert lived.state() == fresh.state()
    events = [one async for one in running.log.fold_all()]
    (told,) = [one for one in events if isinstance(one.event, UsageRecalculated)]
    assert list(told.event.differences) == found
    assert told.meta.actor == META.actor
    assert await recalculate(running) == []


async def test_the_same_request_has_the_same_answer(running):
    await load(running)
    running.writer.books.ledgers.refund("s0")
    running.writer.books.cluster.release(running.writer.books.sessions["s0"].kernels[0].kernel_id)
    first = await recalculate(running, "key-1")
    assert first
    assert await recalculate(running, "key-1") == first
    assert await recalculate(running, "key-2") == []


async def test_it_finds_nothing_while_sessions_come_and_go(running):
    over = asyncio.Event()

    async def churn(client):
        turn = 0
        while not over.is_set():
            name, turn = f"c{client}-{turn}", turn + 1
            await running.enqueue(name)
            await running.terminate(name)

    async with asyncio.TaskGroup() as clients:
        for client in range(8):
            clients.create_task(churn(client))
        for _ in range(10):
            assert await recalculate(running) == []
        over.set()
    assert differences(running.writer.books, await fold(running.log)) == []


async def ask(world, key=None):
    """Recalculate through the service, as often as it says that it goes on."""
    key = CommandKey(key or new_id(), "")

    async def look():
        reply = await world.send(RecalculateUsage(), key)
        return reply if isinstance(reply, Accepted) else None

    async with asyncio.timeout(60):
        while (reply := await look()) is None:
            pass
    return msgspec.convert(reply.result["differences"], list[UsageDifference])


async def test_a_kernel_that_nobody_booked_is_told_and_stopped(world, node):
    (session_id,) = await world.enqueued("booked")
    spec = await node.run(session_id)
    assert await ask(world) == []
    stray = msgspec.structs.replace(spec, session_id=new_id(), kernel_id=new_id())
    await node.beat(spec, stray)

    async def is_told_to_stop():
        specs = (await world.desired.all()).values()
        return [one for one in specs if (one.kernel_id, one.goal) == (stray.kernel_id, "stopped")]

    await world.until(is_told_to_stop)
    (found,) = await ask(world)
    assert (found.kind, found.agent_id, found.kernel_id) == (
        "kernel-not-booked",
        node.agent_id,
        stray.kernel_id,
    )
    await node.beat(spec)
    await world.queue()
    assert await ask(world) == []


async def test_a_kernel_that_its_node_does_not_have_is_told_and_given_up(world, node):
    (session_id,) = await world.enqueued("vanished")
    spec = await node.run(session_id)
    await node.beat(spec)
    await node.beat()
    await world.queue()  # it has been heard
    asked = asyncio.create_task(ask(world, "the-vanished"))
    await asyncio.wait((asked,), timeout=0.5)
    assert not asked.done()  # one heartbeat is not believed
    await node.beat()
    (found,) = await asked
    assert (found.kind, found.session_id, found.kernel_id) == (
        "kernel-not-there",
        session_id,
        spec.kernel_id,
    )
    assert (await world.event(session_id, "SessionTerminated"))["reason"] == "kernel-lost"
    assert await ask(world) == []
