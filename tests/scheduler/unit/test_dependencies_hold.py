"""Whoever depends on whom, and however they end: nobody starts too early or waits in vain."""

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.batch import Batch
from services.scheduler.books import Books
from services.scheduler.domain import resource_group, session_rules
from services.scheduler.placement.model import Agent
from services.scheduler.writer import Decision, Job
from shared.contracts.base import Actor, Meta
from shared.contracts.kernels import KernelReport
from shared.contracts.scheduler import (
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionScheduled,
    SessionTerminated,
)
from tests.scheduler.unit.sessions import START, enqueued

META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="c1")
AGENT = Agent("a1", "default", "x86_64", {"cpu": 3000}, incarnation="i1")
WHICH = st.integers(0, 1000)
STEP = st.one_of(
    st.tuples(st.just("enqueue"), st.lists(WHICH, max_size=3), st.none() | st.integers(0, 20)),
    st.tuples(st.just("ends"), WHICH, st.sampled_from([0, 0, 0, 1])),
    st.tuples(st.just("cancel"), WHICH, st.none()),
    st.tuples(st.just("time"), st.integers(0, 15), st.none()),
)


class Story:
    """A writer's turns without a log: what each would have appended, with its time."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.log = []
        self.now = START
        self.books = Books([AGENT])
        self.wishes = {}
        self.ends = {}
        self.turn(resource_group.seed(None))

    def turn(self, events=()):
        batch = Batch(self.books, self.now)
        batch.expire(1000)
        batch.decide(
            Job(lambda _: Decision(tuple(events)), META, None, None, self.loop.create_future())
        )
        batch.place(1000)
        for event in batch.events:
            self.log.append((event, self.now))
            self.look_at(event)
        assert not self.books.doomed

    def look_at(self, event):
        match event:
            case SessionEnqueued():
                self.wishes[event.session_id] = event
            case SessionScheduled():
                wish = self.wishes[event.session_id]
                assert all(self.ends[other] for other in wish.depends_on)
                assert wish.starts_at is None or wish.starts_at <= self.now
            case SessionTerminated():
                self.ends[event.session_id] = event.result == "success"
            case SessionCancelled() | SessionFailed():
                if event.reason == "dependency-failed":
                    wish = self.wishes[event.session_id]
                    assert any(self.ends.get(other) is False for other in wish.depends_on)
                self.ends[event.session_id] = False

    def step(self, kind, which, value):
        alive = [key for key in sorted(self.wishes) if key not in self.ends]
        match kind:
            case "enqueue":
                possible = [key for key in sorted(self.wishes) if self.ends.get(key, True)]
                others = {possible[at % len(possible)] for at in which} if possible else ()
                starts_at = None if value is None else self.now + timedelta(seconds=value)
                name = f"s{len(self.wishes):03}"
                self.turn([enqueued(name, depends_on=tuple(sorted(others)), starts_at=starts_at)])
            case "time":
                self.now += timedelta(seconds=which)
                self.turn()
            case _ if alive:
                session = self.books.sessions[alive[which % len(alive)]]
                self.turn(self.end(session, kind, value))

    def end(self, session, kind, exit_code):
        if kind == "cancel" or session.status == "PENDING":
            return session_rules.terminate(
                session, forced=True, grace_s=0, at=self.now, is_reachable=lambda _: False
            )
        seen = KernelReport(
            session_id=session.session_id,
            kernel_id=session.main.kernel_id,
            attempt=session.attempt,
            sequence=1,
            phase="terminated",
            at=self.now,
            exit_code=exit_code,
        )
        return session_rules.report(session, seen, "a1", "i1")

    def refolded(self):
        books = Books([AGENT])
        for event, at in self.log:
            books.apply(event, "c1", at)
        return books

    def nobody_waits_in_vain(self):
        """Whom nothing holds back stands in the queue, and only they."""
        free = {
            key
            for key, wish in self.wishes.items()
            if self.books.sessions.get(key) is not None
            and self.books.sessions[key].status == "PENDING"
            and all(self.ends.get(other) for other in wish.depends_on)
            and (wish.starts_at is None or wish.starts_at <= self.now)
        }
        assert set(self.books.queues["default"].planner.queue.entries) == free
        for key, wish in self.wishes.items():
            if any(self.ends.get(other) is False for other in wish.depends_on):
                assert self.ends[key] is False


@settings(max_examples=200, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_nobody_starts_too_early_and_nobody_waits_in_vain(steps):
    story = Story()
    try:
        for step in steps:
            story.step(*step)
            story.nobody_waits_in_vain()
        again = story.refolded()
        batch = Batch(again, story.now)
        batch.expire(1000)
        assert not batch.events
        assert again.state() == story.books.state()
    finally:
        story.loop.close()
