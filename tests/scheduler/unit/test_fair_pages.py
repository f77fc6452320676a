"""Pages of a queue by shares whose sessions come, go, get places and end between the looks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner

STEPS = st.one_of(
    st.tuples(st.just("come"), st.integers(0, 2), st.sampled_from((0, 5)), st.integers(1, 4)),
    st.tuples(st.just("many"), st.integers(0, 2), st.integers(1, 90), st.integers(1, 4)),
    st.tuples(st.just("go"), st.integers(0, 500)),
    st.tuples(st.just("place"), st.integers(1, 60)),
    st.tuples(st.just("end"), st.integers(0, 500)),
    st.tuples(st.just("look"), st.integers(0, 200)),
)


class Group:
    """A queue by shares whose sessions come, go, get places and end."""

    def __init__(self):
        self.cluster = Cluster()
        self.planner = GroupPlanner(GroupOptions("default", scheduler="drf"), self.cluster)
        for number in range(3):
            capacity = {"cpu": 20 + number, "mem": 7}
            self.cluster.put(Agent(f"a{number}", "default", "x86_64", capacity))
        self.turn = 0
        self.live = []

    def come(self, user, priority, amount):
        self.turn += 1
        slots = {"cpu": amount} if amount % 2 else {"cpu": 1, "mem": amount}
        shape = shape_of(slots, "img", "x86_64", 1, "single-node")
        name = f"s{self.turn}"
        self.planner.enqueue(Waiting(name, priority, self.turn, shape, (name,), f"u{user}"))

    def many(self, user, number, amount):
        for _ in range(number):
            self.come(user, 0, amount)

    def go(self, pick):
        waiting = sorted(self.planner.queue.entries)
        if waiting:
            self.planner.withdraw(waiting[pick % len(waiting)])

    def place(self, limit):
        self.live.extend(one.session_id for one in self.planner.run(limit).placed)

    def agent(self, number, amount):
        """Let an agent join, or offer something else."""
        self.cluster.put(Agent(f"a{number}", "default", "x86_64", {"cpu": amount, "gpu": number}))
        self.planner.agent_changed(self.cluster.rows[f"a{number}"])

    def end(self, pick):
        if self.live:
            name = self.live.pop(pick % len(self.live))
            self.planner.freed(self.cluster.release(name))
            self.planner.ledgers.refund(name)

    def look(self, offset):
        order = [entry.session.session_id for entry in self.planner.queue]
        shown = self.planner.queue.page(offset, 20)
        assert [entry.session.session_id for entry in shown] == order[offset : offset + 20]


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(STEPS, max_size=30))
def test_pages_follow_whoever_comes_goes_gets_a_place_or_ends(steps):
    group = Group()
    for kind, *arguments in steps:
        getattr(group, kind)(*arguments)
    for offset in (0, 1, 7, 50):
        group.look(offset)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=4, max_size=12),
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.just("come"), st.integers(0, 3), st.sampled_from((0, 5)), st.integers(1, 4)
            ),
            st.tuples(st.just("go"), st.integers(0, 500)),
            st.tuples(st.just("agent"), st.integers(2, 4), st.integers(1, 30)),
            st.tuples(st.just("place"), st.integers(1, 60)),
            st.tuples(st.just("end"), st.integers(0, 500)),
        ),
        max_size=12,
    ),
)
def test_a_page_looked_at_before_does_not_hide_what_has_changed_since(sizes, steps):
    group = Group()
    for user in range(3):
        for amount in sizes * 5:  # more than there is room for
            group.come(user, 0, amount)
    group.place(1000)
    group.look(0)
    for at, (kind, *arguments) in enumerate(steps):
        getattr(group, kind)(*arguments)
        if at % 3 != 1:  # some changes follow each other unseen
            for offset in range(0, len(group.planner.queue) + 1, 20):
                group.look(offset)


def test_a_page_follows_a_share_that_has_fallen_though_a_pass_placed_nobody():
    group = Group()
    for user, amount in ((0, 6), (1, 6), (1, 6), (2, 9), (2, 9)):
        group.come(user, 0, amount)
        group.place(1)
    for user in range(3):
        group.come(user, 0, 6)  # of which there is no more
    group.place(9)
    assert group.live == ["s1", "s2", "s3", "s4", "s5"]
    before = [entry.session.user for entry in group.planner.queue.page(0, 3)]
    group.end(4)
    group.place(9)
    assert group.live == ["s1", "s2", "s3", "s4"]
    after = [entry.session.user for entry in group.planner.queue.page(0, 3)]
    assert (before, after) == (["u0", "u2", "u1"], ["u2", "u0", "u1"])
