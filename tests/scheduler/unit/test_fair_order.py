import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.scheduler.placement.fair_line import FairLine
from services.scheduler.placement.fair_order import FairOrder, Weights

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
        (f"u{user}", lines[user].standing((), held, weights.weights))
        for user, held in enumerate(used)
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
        standings.append((f"u{user}", line.standing((), held, weights.weights)))
    order = [session_id for *_, session_id in sorted(keys)]
    for offset in range(0, len(order), 997):
        for near in (7, 512):
            assert FairOrder(standings).page(offset, 20, near) == order[offset : offset + 20]


class Lines:
    """Users' lines and what they hold, with an order of them that is kept."""

    def __init__(self):
        self.weights = Weights()
        self.weights.follow((("cpu", 20), ("gpu", 4), ("mem", 50)))
        self.lines = {}
        self.claims = {}
        self.used = {}
        self.order = FairOrder(())
        self.number = 0

    def come(self, user, priority, turn, needs):
        self.number += 1
        key = (-priority, turn, f"s{self.number:03}")
        self.lines.setdefault(user, FairLine()).came(key, tuple(needs.items()))
        self.claims.setdefault(user, []).append((key, tuple(needs.items())))
        self.bring(user)

    def leave(self, user, pick):
        claims = sorted(self.claims.get(user, ()))
        if claims:
            gone = claims[pick % len(claims)]
            self.claims[user].remove(gone)
            self.lines[user].left(gone[0])
            self.bring(user)

    def hold(self, user, used):
        self.used[user] = used
        self.bring(user)

    def forget(self, user):
        self.lines.pop(user, None)
        self.claims.pop(user, None)
        self.bring(user)

    def weigh(self, capacity):
        if self.weights.follow(tuple(sorted(capacity.items()))):
            for user in self.lines:
                self.bring(user)

    def bring(self, user):
        line = self.lines.get(user)
        held = self.used.get(user, {})
        standing = line and line.standing((), held, self.weights.weights)
        self.order.bring(user, standing)

    def look(self, near):
        keys = [
            key
            for user, claims in self.claims.items()
            for key in self.weights.claims(self.used.get(user, {}), sorted(claims))
        ]
        order = [session_id for *_, session_id in sorted(keys)]
        for offset in range(len(order) + 1):
            assert self.order.page(offset, 3, near) == order[offset : offset + 3]


USERS = st.integers(0, 3)
PRIORITIES = st.sampled_from((0, 5))


@settings(max_examples=200, deadline=None)
@given(
    near=st.sampled_from((0, 2, 512)),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("come"), USERS, PRIORITIES, st.integers(0, 9), AMOUNTS),
            st.tuples(st.just("come"), USERS, PRIORITIES, st.integers(0, 9), AMOUNTS),
            st.tuples(st.just("leave"), USERS, st.integers(0, 9)),
            st.tuples(st.just("hold"), USERS, AMOUNTS),
            st.tuples(st.just("forget"), USERS),
            st.tuples(st.just("weigh"), CAPACITY),
        ),
        max_size=25,
    ),
)
@example(  # more of one who asks nothing of a slot than of anybody before
    near=0,
    steps=[("come", 0, 0, 0, {"gpu": 1}), *([("come", 1, 0, 1, {"cpu": 1})] * 4)],
)
@example(  # one comes who holds some of what all ask for
    near=0,
    steps=[
        *([("come", 0, 0, 0, {"cpu": 1})] * 6),
        ("hold", 1, {"cpu": 3}),
        *([("come", 1, 0, 1, {"cpu": 1})] * 6),
    ],
)
@example(  # one comes who holds much of what nobody asks for
    near=0,
    steps=[
        *([("come", 0, 0, 5, {"cpu": 1})] * 6),
        ("hold", 1, {"mem": 49}),
        *([("come", 1, 0, 1, {"cpu": 1})] * 6),
    ],
)
@example(  # the first line of all is gone when what there is in all changes
    near=0,
    steps=[
        *([("come", 0, 0, 0, {"cpu": 1})]),
        *([("come", 1, 0, 1, {"cpu": 3})] * 4),
        *([("come", 2, 0, 2, {"cpu": 1})] * 4),
        ("forget", 0),
        ("weigh", {"cpu": 9}),
    ],
)
def test_an_order_that_is_kept_is_that_of_all_sessions_sorted_after_every_change(near, steps):
    lines = Lines()
    for kind, *arguments in steps:
        getattr(lines, kind)(*arguments)
        lines.look(near)


def test_an_order_from_which_most_have_gone_is_worn():
    lines = Lines()
    for user in range(1_000):
        lines.come(user, 0, user, {"cpu": 1})
    for user in range(999):
        assert not lines.order.is_worn or user > 700
        lines.forget(user)
    assert lines.order.is_worn
    lines.look(2)
