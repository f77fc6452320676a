"""An account tells whom a limit lets pass, and whom one stops, and nobody else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.accounts import Account
from services.scheduler.placement.model import shape_of
from services.scheduler.placement.parked import Parked

SLOTS = ["cpu", "mem"]
NEEDS = st.dictionaries(st.sampled_from(SLOTS), st.integers(1, 3), min_size=1).map(
    lambda found: tuple(sorted(found.items()))
)
LIMITS = st.tuples(
    st.dictionaries(st.sampled_from(SLOTS), st.none() | st.integers(0, 9)),
    st.sampled_from(["unlimited", "limited"]),
    st.sampled_from([None, None, 0, 2, 3]),
)
STEPS = st.one_of(
    st.tuples(st.just("wait"), NEEDS),
    st.tuples(st.just("wait"), NEEDS),
    st.tuples(st.just("leave"), st.integers(0, 50)),
    st.tuples(st.just("charge"), NEEDS),
    st.tuples(st.just("charge"), NEEDS),
    st.tuples(st.just("refund"), st.integers(0, 50)),
    st.tuples(st.just("limit"), LIMITS),
)


class Someone:
    """Waits for a limit while one is in the way, else for room, and notes what it is told."""

    def __init__(self, account, needs) -> None:
        self.account = account
        self.needs = needs
        self.is_held = not account.admits(needs)
        self._wait()

    def limit_lifted(self):
        assert self.is_held
        self.is_held = False
        self._wait()

    def limit_reached(self):
        assert not self.is_held
        self.is_held = True
        self._wait()

    def leave(self):
        waiting = self.account.held if self.is_held else self.account.stuck
        waiting.discard(self.needs, self)

    def _wait(self):
        (self.account.hold if self.is_held else self.account.watch)(self.needs, self)


class World:
    """An account, and beside it what it was told, kept as plainly as can be."""

    def __init__(self) -> None:
        self.account = Account("project:P")
        self.waiting = []
        self.charged = []
        self.limits = ({}, "unlimited", None)

    def wait(self, needs):
        self.waiting.append(Someone(self.account, needs))

    def leave(self, pick):
        if self.waiting:
            self.waiting.pop(pick % len(self.waiting)).leave()

    def charge(self, needs):
        self.charged.append(needs)
        self.account.charge(needs)

    def refund(self, pick):
        if self.charged:
            self.account.refund(self.charged.pop(pick % len(self.charged)))

    def limit(self, limits):
        self.limits = limits
        self.account.limit(*limits)

    def is_over(self, needs):
        slots, default, max_sessions = self.limits
        if max_sessions is not None and len(self.charged) >= max_sessions:
            return True
        for slot, amount in needs:
            ceiling = slots.get(slot, 0 if default == "limited" else None)
            used = sum(dict(one).get(slot, 0) for one in self.charged)
            if ceiling is not None and used + amount > ceiling:
                return True
        return False

    def check(self):
        for one in self.waiting:
            assert one.is_held == self.is_over(one.needs)
            assert self.account.admits(one.needs) != one.is_held


@settings(max_examples=200, deadline=None)
@given(LIMITS, st.lists(STEPS, min_size=8, max_size=40))
def test_who_waits_knows_at_any_time_whether_a_limit_is_in_the_way(limits, steps):
    world = World()
    world.limit(limits)
    for kind, argument in steps:
        getattr(world, kind)(argument)
        world.check()
    for one in world.waiting:
        one.leave()
    assert not world.account.held
    assert not world.account.stuck


def test_who_asks_for_less_is_told_also_when_the_greediest_has_left_before():
    world = World()
    world.limit(({"cpu": 8}, "unlimited", None))
    world.wait((("cpu", 7),))
    world.wait((("cpu", 2),))
    world.leave(0)
    for _ in range(4):
        world.charge((("cpu", 2),))
        world.check()
    assert world.waiting[0].is_held


def test_who_waits_for_fewer_sessions_is_told_when_one_is_over():
    world = World()
    world.limit(({}, "unlimited", 2))
    world.wait((("cpu", 1),))
    for _ in range(2):
        world.charge((("mem", 1),))
        world.check()
    assert world.waiting[0].is_held
    world.refund(0)
    world.check()


REQUESTS = st.dictionaries(st.sampled_from(SLOTS), st.integers(1, 4))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(REQUESTS, st.booleans(), st.integers(0, 2))),
    st.dictionaries(st.sampled_from(SLOTS), st.integers(0, 4)),
)
def test_those_that_fit_what_is_freed_are_parked_no_more(requests, free):
    parked, there = Parked(), set()
    for resources, stays, chosen in requests:
        shape = shape_of(resources, "img", "x86_64", 1, "single-node")
        by = shape.slots[chosen % len(shape.slots)] if shape.slots else ("", 0)
        parked.add(shape, *by)
        there.add(shape)
        if not stays:
            parked.discard(shape)
            there.discard(shape)

    def fits(shape):
        return all(amount <= free.get(slot, 0) for slot, amount in shape.slots)

    woken = parked.take(free, fits)
    assert len(woken) == len(set(woken))
    assert set(woken) == {shape for shape in there if fits(shape)}
    assert set(parked) == there - set(woken)
    assert len(parked) == len(set(parked))
