"""Durable scheduling at the scheduler's own interface, beside the bare log on the same server."""

import asyncio
import time
from datetime import UTC, datetime
from itertools import count

import pytest

from services.scheduler.books import Books
from services.scheduler.domain import enqueue, resource_group, session_rules
from services.scheduler.domain.quota import KeypairLimits
from services.scheduler.leadership import NAME
from services.scheduler.placement.model import Agent
from services.scheduler.writer import Decision, Writer
from shared.contracts.base import Actor, Meta
from shared.contracts.kernels import KernelReport
from shared.contracts.scheduler import EnqueueSession, SessionScheduled
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Write
from shared.kernel.clock import SystemClock
from shared.kernel.ids import new_id
from shared.runtime.collector import calm
from tests.scheduler.unit.sessions import Life, enqueued

SESSIONS = 6_000
CLIENTS = 64
WANTED_PER_S = 3_000
META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="bench")
LIMITS = KeypairLimits(name="default", max_pending_session_count=10**6)
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def enqueue_decision(name, size, group):
    command = EnqueueSession(
        name=name,
        session_type="batch",
        user_id="u1",
        access_key="AKIA0123456789ABCDEF",
        domain="default",
        project_id="p1",
        resource_group="default",
        image="local/host:latest",
        resources={"cpu": 1000, "mem": 2**20},
        command=("sh", "-c", "echo hello"),
        count=size,
    )

    def decide(books):
        facts = enqueue.Facts(
            group=group,
            architecture="x86_64",
            user_problem=None,
            project_problem=None,
            is_name_taken=lambda wanted: ("u1", wanted) in books.names,
            impossible=lambda _: None,
            make_id=new_id,
            access_key=command.access_key,
            limits=LIMITS,
            pending=books.pending.of(command.access_key),
        )
        return Decision(enqueue.decide(command, facts))

    return decide


class Bench:
    """A writer on a real database, and what it has placed so far."""

    def __init__(self, event_log, cpus) -> None:
        self.log = event_log
        self.cpus = cpus
        self.placed = {}
        self.on_placed = asyncio.Condition()
        self.names = count()
        self.group = None
        self.writer = None

    async def open(self):
        books = Books()
        for number in range(200):
            capacity = {"cpu": self.cpus * 1000, "mem": 2**40}
            books.put_agent(Agent(f"a{number:03}", "default", "x86_64", capacity))
        self.writer = Writer(
            self.log,
            books,
            epoch=await self.log.take_epoch(NAME),
            refold=self.never,
            committed=self.committed,
            confirm=self.leads,
            clock=SystemClock(),
        )
        self.task = asyncio.create_task(self.writer.run())
        seed = resource_group.seed(None)
        await self.writer.submit(lambda _: Decision(seed), META)
        self.group = books.queues["default"].group
        calm()
        return self

    async def leads(self):
        return

    async def never(self):
        raise AssertionError("the log failed")

    def committed(self, _books, events):
        for event in events:
            if isinstance(event, SessionScheduled):
                self.placed[event.session_id] = (event, time.perf_counter())

    async def enqueue(self, size):
        name = f"job{next(self.names)}"
        await self.writer.submit(enqueue_decision(name, size, self.group), META)

    async def client(self, calls, size):
        for _ in range(calls):
            await self.enqueue(size)

    async def wait_placed(self, wanted):
        while len(self.placed) < wanted:
            await self.writer.submit(lambda _: Decision(()), META)

    async def close(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def raw_rate(event_log, sessions):
    """Append the same two events for as many sessions, ready-made, in batches."""
    lives = []
    for number in range(sessions):
        life = Life(enqueued(f"raw{number}", requested={"cpu": 1000, "mem": 2**20}))
        life.place()
        lives.append(life)
    started_at = time.perf_counter()
    for first in range(0, sessions, 256):
        writes = [
            Write(f"session-{life.state.session_id}", 0, life.events)
            for life in lives[first : first + 256]
        ]
        await event_log.append(writes, META)
    return sessions / (time.perf_counter() - started_at)


async def test_enqueued_and_placed_and_committed(postgres, show):
    pool = await open_pool(await postgres.database("scheduler"), name="bench")
    event_log = EventLog(pool, codec_for("scheduler"))
    bench = await Bench(event_log, cpus=2000).open()
    rates = {}
    for size, clients in ((1, CLIENTS), (50, 8)):
        before = len(bench.placed)
        started_at = time.perf_counter()
        calls = SESSIONS // (clients * size)
        await asyncio.gather(*(bench.client(calls, size) for _ in range(clients)))
        await bench.wait_placed(before + calls * clients * size)
        rates[size] = calls * clients * size / (time.perf_counter() - started_at)
    raw = await raw_rate(event_log, SESSIONS)
    await bench.close()
    pool.terminate()
    show(
        f"enqueue -> placed, committed: {rates[1]:,.0f} sessions/s one by one from {CLIENTS} "
        f"clients, {rates[50]:,.0f}/s in arrays of 50 ({rates[50] / WANTED_PER_S:.2f} x the "
        f"{WANTED_PER_S:,} wanted); the bare log takes their ready-made events at {raw:,.0f} "
        f"sessions/s (ratios {rates[1] / raw:.2f} and {rates[50] / raw:.2f})"
    )
    assert set(bench.placed) == set(bench.writer.books.sessions)


async def test_capacity_freed_is_given_out_and_committed(postgres, show):
    pool = await open_pool(await postgres.database("scheduler"), name="bench")
    bench = await Bench(EventLog(pool, codec_for("scheduler")), cpus=4).open()
    await bench.client(4, 400)
    await bench.wait_placed(800)
    times = []
    for event, _ in list(bench.placed.values())[:300]:
        (place,) = event.placements
        seen = KernelReport(
            session_id=event.session_id,
            kernel_id=place.kernel_id,
            attempt=1,
            sequence=1,
            phase="terminated",
            at=datetime.now(tz=UTC),
            exit_code=0,
        )

        def decide(books, seen=seen, agent_id=place.agent_id):
            session = books.sessions[seen.session_id]
            return Decision(session_rules.report(session, seen, agent_id, ""))

        known = len(bench.placed)
        started_at = time.perf_counter()
        await bench.writer.submit(decide, META)
        assert len(bench.placed) == known + 1
        times.append(list(bench.placed.values())[-1][1] - started_at)
    await bench.close()
    pool.terminate()
    times.sort()
    show(
        f"capacity freed -> next placement committed: p50 {times[150] * 1e3:.1f} ms "
        f"(wanted < 5), p99 {times[296] * 1e3:.1f} ms (wanted < 50)"
    )
