"""The queue of timers against its obvious twin: look at every session every second."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.agenda import Agenda
from services.scheduler.domain.deadlines import Lifetime, due_at
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import evolve
from shared.contracts.scheduler import (
    SessionCancelled,
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionStarted,
    SessionTerminated,
    SessionTerminating,
)
from tests.scheduler.unit.sessions import START, enqueued

HANG_S = 25
LIMIT = st.sampled_from([None, 0, 3, 10, 20, 45])
BASE = st.sampled_from(["created", "started"])
SECONDS = st.integers(0, 30)
WHICH = st.integers(0, 3)
STEP = st.one_of(
    st.tuples(st.just("enqueue"), WHICH, st.none() | SECONDS),
    st.tuples(st.just("advance"), WHICH, SECONDS),
    st.tuples(st.just("end"), WHICH, st.none()),
    st.tuples(st.just("restart"), WHICH, st.none()),
    st.tuples(st.just("pending"), WHICH, LIMIT),
    st.tuples(st.just("lifetime"), WHICH, st.builds(Lifetime, LIMIT, BASE)),
    st.tuples(st.just("time"), WHICH, SECONDS),
)


def next_event(session):
    session_id = session.session_id
    match session.status:
        case "PENDING":
            return SessionScheduled(session_id=session_id, placements=(), attempt=1)
        case "SCHEDULED":
            return SessionStarted(session_id=session_id)
        case "RESTARTING":
            return SessionRestarted(session_id=session_id, kernels=(), placements=(), attempt=2)
        case "RUNNING":
            return SessionTerminating(session_id=session_id, reason="user-requested", grace_s=2)
        case _:
            return None


class World:
    """Sessions of two groups and keypairs, the agenda, and what the twin needs to know."""

    def __init__(self) -> None:
        self.sessions = {}
        self.since = {}
        self.held = {}
        self.first_ran = {}
        self.pending = {}
        self.lifetime = {}
        self.born = {}
        self.agenda = Agenda(self.sessions, HANG_S)
        self.now = 0
        self.count = 0

    def moment(self, seconds):
        return START + timedelta(seconds=seconds)

    def pick(self, which):
        ids = sorted(self.sessions)
        return self.sessions[ids[which % len(ids)]] if ids else None

    def become(self, event):
        session_id = event.session_id
        self.sessions[session_id] = evolve(self.sessions[session_id], event)
        self.entered(session_id)

    def entered(self, session_id):
        self.since[session_id] = self.now
        if self.sessions[session_id].status == "RUNNING":
            self.since[session_id] = self.first_ran.setdefault(session_id, self.now)
        if self.sessions[session_id].status != "PENDING":
            self.held.pop(session_id, None)
        self.agenda.entered(self.sessions[session_id], self.moment(self.now))

    def close(self, session):
        event = SessionCancelled(session_id=session.session_id, reason="user-requested")
        if session.status != "PENDING":
            event = SessionTerminated(
                session_id=session.session_id, reason="agent-lost", result="failure", exit_code=None
            )
        over = evolve(self.sessions.pop(session.session_id), event)
        self.held.pop(session.session_id, None)
        self.agenda.closed(over)

    def step(self, kind, which, value):
        session = self.pick(which)
        match kind:
            case "enqueue":
                self.count += 1
                starts_at = None if value is None else self.moment(self.now + value)
                event = enqueued(
                    f"s{self.count:03}",
                    kernels=0,
                    access_key=f"AK{which % 2}" if which else None,
                    resource_group=f"g{which % 2}",
                    session_type="inference" if which == 3 else "batch",
                    starts_at=starts_at,
                )
                self.sessions[event.session_id] = evolve(None, event)
                if value:
                    self.held[event.session_id] = self.now + value
                self.born[event.session_id] = self.now + (value or 0)
                self.entered(event.session_id)
            case "advance" if session and (event := next_event(session)):
                self.become(event)
            case "restart" if session and session.status == "RUNNING":
                event = SessionRestarting(session_id=session.session_id, kernels=(), grace_s=3)
                self.become(event)
            case "end" if session:
                self.close(session)
            case "pending":
                group = f"g{which % 2}"
                self.pending[group] = value
                waiting = [
                    key for key, one in self.sessions.items() if one.request.resource_group == group
                ]
                self.agenda.set_pending_timeout(group, value, waiting)
            case "lifetime":
                self.lifetime[f"AK{which % 2}"] = value
                self.agenda.set_lifetime(keypair_scope(f"AK{which % 2}"), value)
            case "time":
                self.now += value

    def expected(self):
        """Return who may begin and who is overdue now, by looking at everybody."""
        begin = {key for key, at in self.held.items() if at <= self.now}
        over = set()
        for key, session in self.sessions.items():
            patience_s = HANG_S
            if session.status == "PENDING":
                patience_s = self.pending.get(session.request.resource_group)
            due = due_at(session, self.moment(self.since[key]), patience_s)
            if due is not None and due <= self.moment(self.now):
                over.add(key)
            if self.has_lived_long_enough(session):
                over.add(key)
        return begin, over

    def has_lived_long_enough(self, session):
        lifetime = self.lifetime.get(session.request.access_key)
        if lifetime is None or not lifetime.seconds or session.request.session_type == "inference":
            return False
        since = self.since[session.session_id]
        counted = {"RUNNING"}
        if lifetime.base == "created":
            since = self.born[session.session_id]
            counted = {"RUNNING", "PENDING"}
        return session.status in counted and since + lifetime.seconds <= self.now

    def taken(self):
        begin, over = set(), set()
        while (due := self.agenda.take(self.moment(self.now))) is not None:
            key = due.session.session_id
            if due.is_start:
                del self.held[key]
                begin.add(key)
            else:
                over.add(key)
                self.close(due.session)
        return begin, over


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_exactly_those_are_taken_for_whom_something_is_due(steps):
    world = World()
    for step in steps:
        world.step(*step)
        expected = world.expected()
        assert world.taken() == expected
        next_at = world.agenda.next_at
        assert next_at is None or next_at > world.moment(world.now)


def test_timers_of_sessions_that_are_over_do_not_pile_up():
    world = World()
    for _ in range(20_000):
        world.step("enqueue", 0, 30)
        world.close(world.pick(0))
    assert len(world.agenda._heap) < 3_000
