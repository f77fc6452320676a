"""What is learned of run times and arrivals, and when waiting sessions are said to start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.forecast.arrivals import Arrivals
from services.scheduler.forecast.estimate import Wait, waits
from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.run_times import COUNT_MAX, ENOUGH, KEYS_MAX, RunTimes, Sketch
from services.scheduler.forecast.snapshot import take
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner
from tests.scheduler.trace import Trace

SHAPE = shape_of({"cpu": 8000}, "img", "x86_64", 1, "single-node")


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60), st.floats(0, 1e6))
def test_the_parts_of_a_sketch_rise_and_lie_beyond_what_has_passed(seconds, elapsed_s):
    sketch = Sketch()
    for one in seconds:
        sketch.add(one)
    parts = [sketch.quantile(part / 10, elapsed_s) for part in range(1, 10)]
    assert parts == sorted(parts)
    assert parts[0] >= elapsed_s
    if elapsed_s == 0:
        assert min(seconds) / 1.2 <= parts[0]
        assert parts[-1] <= max(seconds) * 1.2


def test_what_is_remembered_is_bounded_and_the_new_outweighs_the_old():
    times = RunTimes()
    for number in range(KEYS_MAX + 50):
        times.observe(f"u{number}", "img", 10.0)
    assert len(times._sketches) == KEYS_MAX
    sketch = Sketch()
    for _ in range(COUNT_MAX):
        sketch.add(10.0)
    for _ in range(3 * COUNT_MAX):
        sketch.add(1000.0)
    assert sketch.total <= COUNT_MAX
    assert sketch.quantile(0.5) == pytest.approx(1000, rel=0.2)


def test_run_times_are_those_of_the_nearest_kind_of_which_enough_is_known():
    times = RunTimes()
    assert not times.is_known
    for _ in range(ENOUGH):
        times.observe("u1", "img", 100.0)
        times.observe("u2", "img", 10_000.0)
    times.observe("u3", "img", 1.0)
    assert times.of("u1", "img").quantile(0.5) == pytest.approx(100, rel=0.2)
    assert times.of("u3", "img").total == 2 * ENOUGH + 1
    assert times.of("u4", "new").total == 2 * ENOUGH + 1
    assert times.copied([("u1", "img")]).of("u1", "img").quantile(0.5) == pytest.approx(
        100, rel=0.2
    )


def test_who_may_come_is_who_came_at_the_pace_of_late():
    arrivals = Arrivals()
    assert list(arrivals.ahead(0)) == []
    for turn in range(5):
        arrivals.came(Waiting(f"s{turn}", 10, turn, SHAPE, ("k",)), 10.0 * turn)
    ahead = arrivals.copied().ahead(3)
    coming = [next(ahead) for _ in range(12)]
    assert [at for at, _ in coming] == [10.0 * number for number in range(1, 13)]
    assert len({session.session_id for _, session in coming}) == 12
    assert all(session.shape == SHAPE and session.turn > 10**18 for _, session in coming)


def test_who_is_to_come_later_starts_no_earlier_and_in_the_way_of_who_comes_then():
    planner = GroupPlanner(GroupOptions("default"), Cluster())
    planner.cluster.put(Agent("a", "default", "x86_64", {"cpu": 8000}, incarnation="i"))
    past = Experience()
    for _ in range(ENOUGH):
        past.run_times.observe("", "img", 100.0)
    first, second = (Waiting(f"s{turn}", 10, turn, SHAPE, (f"k{turn}",)) for turn in (1, 2))
    snapshot = take(planner, [first, second])
    told = waits(snapshot, (), past, ["s1", "s2"], coming=[(70.0, second), (50.0, first)])
    assert told["s1"] == Wait(50.0, 50.0, 50.0)
    assert told["s2"].low_s == pytest.approx(150, rel=0.2)


@pytest.mark.parametrize("scheduler", ["fifo", "lifo", "drf"])
def test_an_estimate_is_a_range_and_the_same_whenever_it_is_asked_for(scheduler):
    trace = Trace(5, scheduler=scheduler)
    told = []
    for number in range(160):
        session = trace.next()
        if number < ENOUGH // 2:
            assert trace.estimate(session) is None
        elif number >= 150:
            before = trace.planner.ledgers.state(), trace.planner.cluster.holdings.copy()
            wait = trace.estimate(session)
            assert trace.estimate(session) == wait
            assert (trace.planner.ledgers.state(), trace.planner.cluster.holdings) == before
            told.append(wait)
        trace.enter(session)
    assert any(wait is not None and wait.high_s > 0 for wait in told)
    for wait in told:
        assert wait is None or 0 <= wait.low_s <= wait.likely_s <= wait.high_s
