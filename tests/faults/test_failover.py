"""Two schedulers on one log: the one that leads is killed, or stopped, while sessions come in.

The other serves within seconds; what was accepted is there, once; who wakes up changes nothing.
"""

import asyncio
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from shared.contracts.base import Accepted
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey
from shared.kernel.clock import SystemClock
from shared.kernel.ids import new_id
from shared.testing.services import ServiceProcess
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import world_of

pytestmark = [pytest.mark.faults]

CLIENTS = 4
BEFORE, AFTER = 20, 40
LIMIT_S = 5.0


@pytest_asyncio.fixture(loop_scope="session")
async def world(postgres, nats_server, tmp_path):
    async with world_of(postgres, nats_server, tmp_path) as made:
        made.node = await FakeNode(made, "n1", cpu=1000).connect()
        # who was stopped answers nobody: ask again soon
        made.patience_s = 0.5
        yield made


@asynccontextmanager
async def standing_by(world):
    """Give another scheduler on the same log, which waits for the first to go."""
    process = ServiceProcess("scheduler", world.service.environ)
    await process.spawn()
    try:
        await process.wait_for("standing_by")
        await process.wait_for("keeping_up")
        yield process
    finally:
        await process.stop()


class Load:
    """Clients that submit one session after the other, each until it is accepted."""

    def __init__(self, world):
        self.world = world
        self.clock = SystemClock()
        self.session_ids = {}
        self.accepted_at = []
        self.wanted = None
        self._news = asyncio.Condition()

    async def client(self, number):
        turn = 0
        while self.wanted is None or len(self.accepted_at) < self.wanted:
            name, turn = f"s{number}-{turn}", turn + 1
            key = CommandKey(new_id(), name)
            while not isinstance(reply := await self.world.enqueue(name, key=key), Accepted):
                pass
            async with self._news:
                self.session_ids[name] = reply.result["session_ids"]
                self.accepted_at.append(self.clock.monotonic())
                self._news.notify_all()

    async def reached(self, count):
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.accepted_at) >= count)

    async def while_hit(self, hit, successor):
        """Hit the leader under load; return after how many seconds the next one accepted."""
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self.client(number))
            await self.reached(BEFORE)
            hit_at = self.clock.monotonic()
            hit()
            await successor.wait_for("ready")
            ready_at = self.clock.monotonic()
            self.wanted = len(self.accepted_at) + AFTER
            await self.reached(self.wanted)
        return min(at for at in self.accepted_at if at >= ready_at) - hit_at


def tell(capsys, what, took_s):
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: served again after {took_s:.2f} s (limit {LIMIT_S:.0f} s)\n")


async def assert_each_once(world, load):
    """Check that what was accepted is in the log and in the bucket once, and nothing else is."""
    assert {len(ids) for ids in load.session_ids.values()} == {1}
    rows = await world.database.fetch(
        "select data->>'name' as name, stream from events where type = 'SessionEnqueued'"
    )
    assert Counter(row["name"] for row in rows) == dict.fromkeys(load.session_ids, 1)
    assert {row["stream"] for row in rows} == {
        f"session-{ids[0]}" for ids in load.session_ids.values()
    }

    async def all_are_to_run():
        return {key for (key,) in load.session_ids.values()} == set(await world.node.specs())

    await world.until(all_are_to_run)
    scheduled = await world.database.fetch(
        "select stream, count(*) from events where type = 'SessionScheduled' group by stream"
    )
    assert {row["count"] for row in scheduled} == {1}
    assert len(scheduled) == len(load.session_ids)
    pool = await open_pool(world.service.environ["QM_DATABASE_URL"], name="tests")
    assert (await EventLog(pool, codec_for("scheduler")).verify()).is_intact
    pool.terminate()


async def test_a_killed_leader_is_replaced_and_nothing_is_lost_or_doubled(world, capsys):
    load = Load(world)
    async with standing_by(world) as successor:
        killed = world.service._process
        took_s = await load.while_hit(killed.kill, successor)
        tell(capsys, "kill -9 of the leader", took_s)
        await assert_each_once(world, load)


async def test_a_stopped_leader_is_replaced_and_steps_down_when_it_wakes_up(world, capsys):
    load = Load(world)
    async with standing_by(world) as successor:
        stopped = world.service._process
        took_s = await load.while_hit(lambda: stopped.send_signal(signal.SIGSTOP), successor)
        tell(capsys, "SIGSTOP of the leader", took_s)
        await assert_each_once(world, load)
        bucket = await world.desired.all()
        head = await world.database.fetchval("select position from log_head")
        stopped.send_signal(signal.SIGCONT)
        assert await world.service.wait_ended() == 1
        assert "another_leads" in world.service.output
        assert await world.desired.all() == bucket
        assert await world.database.fetchval("select position from log_head") == head
        # its supervisor starts it again, as one that follows
        async with standing_by(world):
            assert isinstance(await world.enqueue("after"), Accepted)
