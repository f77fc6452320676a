import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.fair_line import FairLine
from services.scheduler.placement.fair_order import FairOrder, Weights
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner

SLOTS = ("cpu", "mem", "gpu")
AMOUNTS = st.dictionaries(st.sampled_from(SLOTS), st.integers(1, 4))
CAPACITY = st.dictionaries(st.sampled_from(SLOTS), st.integers(1, 60))
SESSIONS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from((0, 0, 5)), st.integers(0, 9), AMOUNTS),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(
    capacity=CAPACITY,
    sessions=SESSIONS,
    used=st.lists(AMOUNTS, min_size=5, max_size=5),
    near=st.integers(0, 3),
    limit=st.integers(1, 7),
)
def test_a_page_is_that_of_all_sessions_sorted_however_near_is_guessed(
    capacity, sessions, used, near, limit
):
    weights = Weights()
    weights.follow(tuple(sorted(capacity.items())))
    lines = [FairLine() for _ in used]
    claims = [[] for _ in used]
    for number, (user, priority, turn, needs) in enumerate(sessions):
        key = (-priority, turn, f"s{number:02}")
        lines[user].came(key, tuple(needs.items()))
        claims[user].append((key, tuple(needs.items())))
    keys = [
        claim
        for held, mine in zip(used, claims, strict=True)
        for claim in weights.claims(held, sorted(mine))
    ]
    order = [session_id for *_, session_id in sorted(keys)]
    standings = [
        line.standing((), held, weights.weights) for line, held in zip(lines, used, strict=True)
    ]
    for offset in range(len(order) + 1):
        assert FairOrder(standings).page(offset, limit, near) == order[offset : offset + limit]


def test_a_page_of_more_users_than_are_sampled_is_that_of_all_sessions_sorted():
    chosen = random.Random(5)
    weights = Weights()
    weights.follow((("cpu", 9000), ("gpu", 70), ("mem", 50_000)))
    standings, keys = [], []
    for user in range(2_600):
        line, claims, held = FairLine(), [], {"cpu": chosen.randrange(40), "gpu": user % 3}
        for _ in range(chosen.choice((1, 2, 2, 9))):
            key = (-chosen.choice((1, 1, 1, 7)), chosen.randrange(1000), f"s{chosen.random()}")
            needs = tuple((slot, chosen.randrange(1, 9)) for slot in chosen.sample(SLOTS, 2))
            line.came(key, needs)
            claims.append((key, needs))
        keys.extend(weights.claims(held, sorted(claims)))
        standings.append(line.standing((), held, weights.weights))
    order = [session_id for *_, session_id in sorted(keys)]
    for offset in range(0, len(order), 997):
        for near in (7, 512):
            assert FairOrder(standings).page(offset, 20, near) == order[offset : offset + 20]


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
            st.tuples(st.just("come"), st.integers(0, 2), st.just(0), st.integers(1, 4)),
            st.tuples(st.just("go"), st.integers(0, 500)),
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
