"""What a dry run says is what happens, whatever there was before; and it leaves no trace."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.batch import SCHEDULER, Batch
from services.scheduler.books import Books
from services.scheduler.domain import session_rules
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.forecast.dry_run import Waits, dry_run
from services.scheduler.forecast.snapshot import take
from services.scheduler.placement.model import Agent, Device
from services.scheduler.simulating import LAST_TURN
from services.scheduler.waiting_room import held_of
from services.scheduler.writer import Decision, Job
from shared.contracts.base import Meta
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    SessionScheduled,
)
from tests.scheduler.unit.sessions import START, enqueued

META = Meta(actor=SCHEDULER, correlation_id="test")
AGENTS = ("a1", "a2", "a3")
GPUS = (Device("g0", "cuda.shares", 1000), Device("g1", "cuda.shares", 1000))

wishes = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(("u1", "u2", "u3")),
        "access_key": st.sampled_from(("AK1", "AK2", None)),
        "requested": st.dictionaries(
            st.sampled_from(("cpu", "mem", "cuda.shares")),
            st.sampled_from((500, 1000, 1500, 3000)),
            min_size=1,
        ),
        "kernels": st.integers(1, 3),
        "cluster_mode": st.sampled_from(("multi-node", "single-node")),
        "priority": st.sampled_from((9, 10, 10, 11)),
        "image": st.sampled_from(("img", "img", "other")),
    }
)
options = st.fixed_dictionaries(
    {
        "scheduler": st.sampled_from(("fifo", "lifo", "drf")),
        "retries_to_skip": st.sampled_from((0, 1, 2)),
        "agent_selection_strategy": st.sampled_from(
            ("dispersed", "concentrated", "roundrobin", "legacy")
        ),
        "allow_fractional_resource_fragmentation": st.booleans(),
    }
)
agents = st.builds(
    lambda name, cpu, has_gpus, alive: Agent(
        name,
        "default",
        "x86_64",
        {"cpu": cpu, "mem": 4000, **({"cuda.shares": 2000} if has_gpus else {})},
        GPUS if has_gpus else (),
        images=frozenset({"img"}),
        incarnation="i1",
        alive=alive,
    ),
    st.sampled_from(AGENTS),
    st.sampled_from((2000, 4000)),
    st.booleans(),
    st.sampled_from((True, True, False)),
)
ceilings = st.builds(
    lambda cpu, sessions: Ceiling(slots={"cpu": cpu}, max_sessions=sessions),
    st.sampled_from((None, 0, 1000, 4000)),
    st.sampled_from((None, 1, 2)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("enqueue"), wishes),
        st.tuples(st.just("enqueue"), wishes),
        st.tuples(st.just("end"), st.integers(0, 30)),
        st.tuples(st.just("put"), agents),
        st.tuples(st.just("limit"), ceilings),
        st.tuples(st.just("change"), options),
        st.tuples(st.just("retry"), st.just(None)),
    ),
    max_size=25,
)


class Place:
    """Books of one group, with passes made as the writer makes them, or put off for once."""

    def __init__(self, first_agents, chosen):
        self.books = Books(first_agents)
        self.names = count()
        self.do([ResourceGroupCreated(name="default", **chosen)])

    @property
    def queue(self):
        return self.books.queues["default"]

    def do(self, events, limit=100):
        batch = Batch(self.books, START)
        batch.decide(Job(lambda _: Decision(tuple(events)), META, None, None, None))
        batch.place(limit)
        return batch.events

    def event(self, wish):
        return enqueued(f"s{next(self.names):03}", **wish)

    def enqueue(self, wish):
        self.do([self.event(wish)])

    def end(self, number):
        live = sorted(self.books.sessions)
        if live:
            session = self.books.sessions[live[number % len(live)]]
            self.do(
                session_rules.terminate(
                    session, forced=True, grace_s=0, at=START, is_reachable=lambda _: False
                )
            )

    def put(self, agent):
        self.books.put_agent(agent)

    def limit(self, ceiling):
        self.books.set_limits("keypair:AK1", ceiling)

    def change(self, chosen):
        self.do([ResourceGroupChanged(name="default", **chosen)])

    def retry(self, _):
        if self.queue.planner.wants_retry():
            self.queue.planner.due = True
        self.do([])

    def shown(self):
        planner = self.queue.planner
        return [
            (
                entry.session.session_id,
                planner.queue.tries(entry),
                self.queue.explainer.reason(entry),
            )
            for entry in planner.queue
        ]

    def all_there_is(self):
        planner = self.queue.planner
        rows = {name: (row.reserved, row.free) for name, row in self.books.cluster.rows.items()}
        return (
            repr((self.books.state(), rows, planner.due, planner.queue.parked, planner.blocker)),
            self.shown(),
        )


@given(
    st.lists(agents, min_size=1, max_size=3),
    options,
    steps,
    st.lists(wishes, min_size=1, max_size=3),
)
def test_a_dry_run_says_what_then_happens_and_changes_nothing(
    first_agents, chosen, history, newcomers
):
    place = Place(first_agents, chosen)
    for kind, what in history:
        getattr(place, kind)(what)
    events = [place.event(wish) for wish in newcomers]
    before = place.all_there_is()
    waiting = [
        held_of(event, LAST_TURN + turn, START, ()).waiting for turn, event in enumerate(events)
    ]
    found = dry_run(take(place.queue.planner, waiting), waiting)
    assert place.all_there_is() == before

    happened = place.do(events)
    placed = {one.session_id: one for one in happened if isinstance(one, SessionScheduled)}
    shown = place.shown()
    assert set(found) == {event.session_id for event in events}
    for session_id, what in found.items():
        if isinstance(what, Waits):
            assert session_id not in placed
            assert what.position is not None
            there, _, reason = shown[what.position - 1]
            assert (there, reason) == (session_id, what.reason)
        else:
            places = placed[session_id].placements
            assert [(one.kernel_id, one.agent_id, one.devices) for one in places] == [
                tuple(kernel) for kernel in what.kernels
            ]


def test_a_queue_that_is_too_long_is_copied_as_far_as_its_blocker():
    place = Place(
        [Agent("a1", "default", "x86_64", {"cpu": 1000}, incarnation="i1")],
        {"scheduler": "fifo", "retries_to_skip": 0},
    )
    place.books.set_limits("keypair:AK1", Ceiling(slots={}, max_sessions=0))
    for _ in range(5):
        place.enqueue({"access_key": "AK1"})
    place.enqueue({"requested": {"cpu": 4000}})
    (newcomer,) = (held_of(place.event({}), LAST_TURN, START, ()).waiting,)
    snapshot = take(place.queue.planner, [newcomer], limit=3)
    assert (len(snapshot.waiting), snapshot.left_out) == (4, 2)
    what = dry_run(snapshot, [newcomer])[newcomer.session_id]
    assert isinstance(what, Waits)
    assert (what.position, what.reason.code) == (None, "behind-first-in-line")


def test_one_that_may_be_passed_over_is_passed_over_in_a_dry_run_too():
    place = Place(
        [Agent("a1", "default", "x86_64", {"cpu": 1000}, incarnation="i1")],
        {"scheduler": "fifo", "retries_to_skip": 1},
    )
    place.enqueue({"requested": {"cpu": 4000}})
    waiting = held_of(place.event({}), LAST_TURN, START, ()).waiting
    found = dry_run(take(place.queue.planner, [waiting]), [waiting])
    assert not isinstance(found[waiting.session_id], Waits)
    place.change({"retries_to_skip": 0})
    found = dry_run(take(place.queue.planner, [waiting]), [waiting])
    assert isinstance(found[waiting.session_id], Waits)
