"""A leader's writer at work on a real log, without the service around it."""

import asyncio

from services.scheduler.books import Books
from services.scheduler.domain import resource_group, session_rules
from services.scheduler.leadership import NAME
from services.scheduler.placement.model import Agent
from services.scheduler.writer import Decision, Writer
from shared.contracts.base import Actor, Meta
from shared.eventlog.outcomes import StaleEpoch
from shared.kernel.clock import SystemClock
from tests.scheduler.unit.sessions import START, enqueued

META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="c1")
AGENT = Agent("a1", "default", "x86_64", {"cpu": 4000}, incarnation="i1")


async def fold(event_log):
    books = Books()
    async for recorded in event_log.fold_all():
        books.apply(recorded.event, recorded.meta.correlation_id, recorded.recorded_at)
    books.put_agent(AGENT)
    return books


class Running:
    """A writer at work, and what its commits made true."""

    def __init__(self, event_log, clock=None) -> None:
        self.log = event_log
        self.clock = SystemClock() if clock is None else clock
        self.commits = []
        self.is_deposed = False
        self.has_committed = asyncio.Event()

    async def start(self):
        self.writer = Writer(
            self.log,
            await fold(self.log),
            epoch=await self.log.take_epoch(NAME),
            refold=lambda: fold(self.log),
            committed=self.committed,
            confirm=self.confirm,
            clock=self.clock,
            retry_s=0.01,
        )
        self.task = asyncio.create_task(self.writer.run())
        queue = self.writer.books.queues.get("default")
        seed = resource_group.seed(queue.group if queue else None)
        await self.writer.submit(lambda _: Decision(seed), META)
        return self

    def committed(self, _books, events):
        self.commits.append(list(events))
        self.has_committed.set()

    async def confirm(self):
        if self.is_deposed:
            raise StaleEpoch(0)

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def enqueue(self, name, key=None, **more):
        events = (enqueued(name, **more),)
        return await self.writer.submit(
            lambda _: Decision(events, {"session_ids": [name]}), META, key=key
        )

    async def terminate(self, session_id):
        def decide(books):
            session = books.sessions[session_id]
            return Decision(
                session_rules.terminate(
                    session, forced=True, grace_s=0, at=START, is_reachable=lambda _: False
                )
            )

        return await self.writer.submit(decide, META)

    async def types(self):
        return [event.type for event in await self.log.read(0, 10_000)]
