"""Kills, pauses and wipes: what was accepted is there, once; the bucket says what the log says."""

import asyncio
import signal
from collections import Counter

import pytest_asyncio

from shared.contracts.base import Accepted
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.testing.services import ServiceProcess
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import world_of


@pytest_asyncio.fixture(loop_scope="session")
async def own_world(postgres, nats_server, tmp_path):
    async with world_of(postgres, nats_server, tmp_path) as world:
        yield world


async def names_in_the_log(world):
    rows = await world.database.fetch(
        "select data->>'name' as name from events where type = 'SessionEnqueued'"
    )
    return Counter(row["name"] for row in rows)


async def test_kill_9_while_sessions_come_in_loses_and_doubles_nothing(own_world):
    world = own_world
    await FakeNode(world, "n1", cpu=1000).connect()
    world.patience_s = 2
    accepted = []

    async def client(number):
        for turn in range(15):
            name = f"s{number}-{turn}"
            key = CommandKey(new_id(), name)

            # each time after the answer before: away, killed in between, or done
            while True:
                if isinstance(await world.enqueue(name, key=key), Accepted):
                    break
            accepted.append(name)

    async def killer():
        for _ in range(2):
            wanted = len(accepted) + 20

            async def enough(wanted=wanted):
                return len(accepted) >= wanted

            await world.until(enough)
            await world.service.kill()
            await world.service.start()

    await asyncio.gather(killer(), *(client(number) for number in range(8)))
    found = await names_in_the_log(world)
    assert set(found) == set(accepted)
    assert set(found.values()) == {1}
    scheduled = await world.database.fetch(
        "select stream, count(*) from events where type = 'SessionScheduled' group by stream"
    )
    assert {row["count"] for row in scheduled} == {1}

    async def bucket_agrees():
        specs = [spec for spec in (await world.desired.all()).values() if spec.goal == "running"]
        return len(specs) == len(scheduled)

    await world.until(bucket_agrees)


async def test_a_wiped_bucket_is_filled_again_and_only_then_called_complete(own_world, nats_server):
    world = own_world
    node = await FakeNode(world, "n1", cpu=50).connect()
    session_ids = await world.enqueued("kept", count=20)
    for session_id in session_ids:
        await node.spec(session_id)
    ended = await node.run(session_ids[0])
    await node.report(ended, "terminated", exit_code=0)
    await nats_server.stop()
    nats_server.wipe()
    await nats_server.start()

    async def is_complete():
        return world.client.is_connected and await world.desired.is_complete()

    await world.until(is_complete)
    assert set(await node.specs()) == set(session_ids[1:])
    (later,) = await world.enqueued("later")
    await node.spec(later)


async def test_a_bucket_deleted_under_a_running_server_is_filled_again(own_world):
    world = own_world
    node = await FakeNode(world, "n1", cpu=50).connect()
    session_ids = await world.enqueued("kept", count=5)
    await world.until(world.desired.is_complete)
    await world.client.jetstream().delete_key_value("desired")
    (later,) = await world.enqueued("later")

    async def all_there():
        return set(await node.specs()) == {*session_ids, later}

    await world.until(all_there)
    await world.until(world.desired.is_complete)


async def test_a_second_scheduler_takes_over_and_the_paused_first_one_is_refused(own_world):
    world = own_world
    node = await FakeNode(world, "n1", cpu=50).connect()
    (before,) = await world.enqueued("before")
    await node.run(before)
    second = ServiceProcess("scheduler", world.service.environ)
    await second.spawn()
    try:
        first = world.service._process
        first.send_signal(signal.SIGSTOP)
        # its connections are taken from it, as a network that is cut would
        await world.cut_off_scheduler()
        await second.wait_for("ready")
        first.send_signal(signal.SIGCONT)
        assert await first.wait() == 1
        await world.enqueued("after")
        spec = await node.spec(before)
        await node.report(spec, "terminated", exit_code=0)
        await world.event(before, "SessionTerminated")
        epochs = {one.epoch for one in (await node.specs()).values()}
        assert len(epochs) == 1
    finally:
        await second.stop()
