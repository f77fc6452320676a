"""Whatever happens in whatever order: no limit is exceeded, and nobody waits for nothing."""

from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.batch import SCHEDULER, Batch
from services.scheduler.books import Books
from services.scheduler.domain import resource_group, session_rules
from services.scheduler.limits_view import LimitsView
from services.scheduler.placement.model import Agent
from services.scheduler.writer import Decision, Job
from shared.contracts.base import Meta
from shared.contracts.policies import KeypairPolicyChanged, KeypairPolicyCreated
from shared.contracts.scheduler import (
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionScheduled,
    SessionTerminated,
)
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairIssued,
    KeypairPolicyAssigned,
    ProjectChanged,
    ProjectCreated,
)
from tests.scheduler.unit.sessions import START, enqueued

META = Meta(actor=SCHEDULER, correlation_id="test")
ROOMY = Agent("a1", "default", "x86_64", {"cpu": 10**9, "mem": 10**15}, incarnation="i1")
KEYS, POLICIES, PROJECTS = ("AK1", "AK2"), ("x", "y"), ("p1", "p2")

amounts = st.dictionaries(st.sampled_from(["cpu", "mem"]), st.integers(1, 4), min_size=1)
ceilings = st.dictionaries(st.sampled_from(["cpu", "mem"]), st.none() | st.integers(0, 9))
enqueues = st.builds(
    lambda key, project, slots, kernels, priority: (
        "enqueue",
        {
            "access_key": key,
            "project_id": project,
            "requested": slots,
            "kernels": kernels,
            "priority": priority,
        },
    ),
    st.sampled_from([*KEYS, *KEYS, None]),
    st.sampled_from(PROJECTS),
    amounts,
    st.integers(1, 2),
    st.integers(9, 10),
)
policies = st.builds(
    lambda name, slots, unspecified, sessions: (
        "learn",
        KeypairPolicyChanged(
            name=name,
            total_resource_slots=slots,
            default_for_unspecified=unspecified,
            max_concurrent_sessions=sessions,
        ),
    ),
    st.sampled_from(POLICIES),
    ceilings,
    st.sampled_from(["limited", "unlimited"]),
    st.sampled_from([0, 1, 1, 2, 3, None]),
)
assignments = st.builds(
    lambda key, name: (
        "learn",
        KeypairPolicyAssigned(access_key=key, user_id="u1", resource_policy=name),
    ),
    st.sampled_from(KEYS),
    st.sampled_from(POLICIES),
)
tenants = st.one_of(
    st.builds(
        lambda project, slots: (
            "learn",
            ProjectChanged(project_id=project, total_resource_slots=slots),
        ),
        st.sampled_from(PROJECTS),
        ceilings,
    ),
    st.builds(
        lambda slots: ("learn", DomainChanged(name="default", total_resource_slots=slots)),
        ceilings,
    ),
)
ends = st.builds(lambda number: ("end", number), st.integers(0, 50))


class Twin:
    """What each scope holds, added up anew each time."""

    def __init__(self, limits):
        self.limits = limits
        self.requests = {}
        self.running = set()

    def excess(self, session_id):
        """Return the scopes that would be over a limit with one more session."""
        return [scope for scope in self.scopes(session_id) if self.is_over(scope, {session_id})]

    def scopes(self, session_id):
        request = self.requests[session_id]
        keypair = [f"keypair:{request.access_key}"] if request.access_key else []
        return [*keypair, f"project:{request.project_id}", f"domain:{request.domain}"]

    def is_over(self, scope, more):
        ceiling = self.limits.ceiling(scope)
        members = [one for one in self.running | more if scope in self.scopes(one)]
        if ceiling.max_sessions is not None and len(members) > ceiling.max_sessions:
            return True
        kernels = [kernel for one in members for kernel in self.requests[one].kernels]
        asked = {slot for one in more for slot in self.requests[one].kernels[0].requested}
        for slot in asked:
            otherwise = 0 if ceiling.default == "limited" else None
            limit = ceiling.slots.get(slot, otherwise)
            used = sum(kernel.requested.get(slot, 0) for kernel in kernels)
            if limit is not None and used > limit:
                return True
        return False

    def pending(self, access_key, waiting):
        """Return what waits under a keypair."""
        requests = [self.requests[one] for one in waiting]
        mine = [request for request in requests if request.access_key == access_key]
        slots = Counter()
        for request in mine:
            for kernel in request.kernels:
                slots.update(kernel.requested)
        return (len(mine), dict(slots))

    def take(self, event):
        match event:
            case SessionEnqueued():
                self.requests[event.session_id] = event
            case SessionScheduled():
                assert self.excess(event.session_id) == []
                self.running.add(event.session_id)
            case SessionTerminated() | SessionFailed() | SessionCancelled():
                self.running.discard(event.session_id)
                del self.requests[event.session_id]


class Place:
    """Books on a cluster with room for all, and everything that ever happened in them."""

    def __init__(self):
        self.limits = LimitsView()
        self.books = Books([ROOMY])
        self.twin = Twin(self.limits)
        self.events = []
        self.names = count()
        self.learn(DomainCreated(name="default"))
        for name in POLICIES:
            self.learn(KeypairPolicyCreated(name=name))
        for key in KEYS:
            self.learn(
                KeypairIssued(
                    access_key=key,
                    user_id="u1",
                    is_main=False,
                    status="active",
                    resource_policy=POLICIES[0],
                    rate_limit=None,
                )
            )
        for project_id in PROJECTS:
            self.learn(
                ProjectCreated(
                    project_id=project_id, domain="default", name=project_id, project_type="general"
                )
            )
        self.do(resource_group.seed(None))

    def learn(self, event):
        for scope in self.limits.apply(event):
            self.books.set_limits(scope, self.limits.ceiling(scope))
        self.do(())

    def do(self, events):
        batch = Batch(self.books, START)
        batch.decide(Job(lambda _: Decision(events), META, None, None, None))
        batch.place(100)
        for event in batch.events:
            self.twin.take(event)
        self.events.extend(batch.events)

    def enqueue(self, wish):
        self.do((enqueued(f"s{next(self.names)}", **wish),))

    def end(self, number):
        live = sorted(self.books.sessions)
        if not live:
            return
        session = self.books.sessions[live[number % len(live)]]
        self.do(
            session_rules.terminate(
                session, forced=True, grace_s=0, at=START, is_reachable=lambda _: False
            )
        )


@given(
    st.lists(
        st.one_of(enqueues, enqueues, policies, assignments, tenants, ends),
        min_size=5,
        max_size=40,
    )
)
def test_no_limit_is_ever_exceeded_and_nobody_waits_for_nothing(steps):
    place = Place()
    for kind, what in steps:
        getattr(place, kind)(what)
        for session in place.books.sessions.values():
            if session.status == "PENDING":
                assert place.twin.excess(session.session_id)
        waiting = {
            session.session_id
            for session in place.books.sessions.values()
            if session.status == "PENDING"
        }
        assert waiting == set(place.twin.requests) - place.twin.running
        for key in KEYS:
            assert place.books.pending.of(key) == place.twin.pending(key, waiting)


@given(st.lists(st.one_of(enqueues, enqueues, policies, tenants, ends), min_size=5, max_size=40))
def test_what_is_folded_from_the_log_is_what_was_there(steps):
    place = Place()
    for kind, what in steps:
        getattr(place, kind)(what)
    again = Books()
    for event in place.events:
        again.apply(event)
    again.put_agent(ROOMY)
    for scope in place.limits.scopes():
        again.set_limits(scope, place.limits.ceiling(scope))
    assert again.state() == place.books.state()
    place.books = again
    place.do(())
    place.learn(KeypairPolicyChanged(name="x", max_concurrent_sessions=None))
    for session in place.books.sessions.values():
        assert session.status != "PENDING" or place.twin.excess(session.session_id)
