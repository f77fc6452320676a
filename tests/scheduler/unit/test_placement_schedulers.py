"""Golden examples: last in first out, shares, priorities, strategies, designated agents."""

import pytest

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.plan import plan
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer, never_fits

GIB = 2**30


def agent(name, cpu, mem=100, **more):
    capacity = {"cpu": cpu * 1000, "mem": mem * GIB, **more.pop("slots", {})}
    return Agent(name, "default", "x86_64", capacity, **more)


def session(name, turn, cpu=1, mem=0, user="U", priority=10, **more):
    resources = {"cpu": cpu * 1000, "mem": mem * GIB, **more.pop("slots", {})}
    kernels, mode = more.pop("kernels", 1), more.pop("mode", "single-node")
    shape = shape_of(resources, "img", "x86_64", kernels, mode, more.pop("designated", ()))
    kernel_ids = tuple(f"{name}.{number}" for number in range(kernels))
    return Waiting(name, priority, turn, shape, kernel_ids, user, (f"keypair:{user}",))


def planner_with(*agents, **options):
    planner = GroupPlanner(GroupOptions("default", **options), Cluster())
    for one in agents:
        planner.cluster.put(one)
    return planner


def started(planner, limit=99):
    return [placed.session_id for placed in planner.run(limit).placed]


def where(planner):
    return [kernel.agent_id for placed in planner.run(99).placed for kernel in placed.kernels]


def waits_in(planner):
    return [entry.session.session_id for entry in planner.queue]


def running(planner, *sessions):
    for one in sessions:
        planner.enqueue(one)
        planner.scheduled(one.session_id)


def test_last_in_is_first_out():
    planner = planner_with(agent("a", 1), scheduler="lifo")
    for turn, name in enumerate("ABC"):
        planner.enqueue(session(name, turn))
    assert waits_in(planner) == ["C", "B", "A"]
    order = []
    for _ in range(3):
        (name,) = started(planner)
        order.append(name)
        planner.freed(planner.cluster.release(f"{name}.0"))
    assert order == ["C", "B", "A"]


def test_the_youngest_that_does_not_fit_blocks_the_older_ones_whatever_the_retries():
    planner = planner_with(agent("a", 2), scheduler="lifo", retries_to_skip=1)
    planner.enqueue(session("old", 1))
    planner.enqueue(session("young", 2, cpu=4))
    assert [started(planner) for _ in range(3)] == [[]] * 3
    assert not planner.wants_retry()
    planner.withdraw("young")
    assert started(planner) == ["old"]


def test_whoever_has_the_least_share_is_next():
    planner = planner_with(agent("a", 10), scheduler="drf")
    running(planner, session("a0", 1, cpu=4, mem=10, user="A"))
    running(planner, session("b0", 2, cpu=1, mem=30, user="B"))
    for turn, user in enumerate("ABC", start=3):
        planner.enqueue(session(user, turn, user=user))
    assert waits_in(planner) == ["C", "B", "A"]
    assert started(planner) == ["C", "B", "A"]


def test_shares_grow_while_a_pass_places():
    planner = planner_with(agent("a", 10), scheduler="drf")
    running(planner, session("a0", 1, cpu=4, user="A"), session("b0", 2, mem=30, cpu=0, user="B"))
    planner.enqueue(session("A1", 3, mem=1, user="A"))
    planner.enqueue(session("B1", 4, mem=1, user="B"))
    planner.enqueue(session("B2", 5, mem=10, user="B"))
    planner.enqueue(session("B3", 6, mem=1, user="B"))
    # 0.30 and 0.31 of B are less than 0.4 of A; 0.41 is more
    assert waits_in(planner) == ["B1", "B2", "A1", "B3"]
    assert started(planner) == ["B1", "B2", "A1", "B3"]


def test_a_share_is_the_sum_over_all_sessions_of_a_user():
    planner = planner_with(agent("a", 10), scheduler="drf")
    running(planner, session("c0", 1, cpu=2, user="C"), session("c1", 2, cpu=2, user="C"))
    running(planner, session("d0", 3, cpu=3, user="D"))
    planner.enqueue(session("C", 4, user="C"))
    planner.enqueue(session("D", 5, user="D"))
    assert started(planner) == ["D", "C"]


def test_what_a_user_holds_in_another_group_is_no_part_of_his_share():
    cluster, ledgers = Cluster(), Ledgers()
    here = GroupPlanner(GroupOptions("default", scheduler="drf"), cluster, ledgers)
    there = GroupPlanner(GroupOptions("other", scheduler="drf"), cluster, ledgers)
    cluster.put(agent("a", 10))
    running(there, session("x", 1, cpu=9, user="A"))
    running(here, session("y", 2, cpu=1, user="B"))
    here.enqueue(session("B", 3, user="B"))
    here.enqueue(session("A", 4, user="A"))
    assert started(here) == ["A", "B"]


def test_a_user_whose_first_fits_nowhere_waits_and_keeps_his_order():
    planner = planner_with(agent("a", 4), scheduler="drf")
    planner.enqueue(session("large", 1, cpu=8, user="A"))
    planner.enqueue(session("small", 2, user="A"))
    planner.enqueue(session("other", 3, user="B"))
    assert started(planner) == ["other"]
    explainer = Explainer(planner)
    reasons = {entry.session.session_id: explainer.reason(entry) for entry in planner.queue}
    assert reasons["large"].code == "not-enough-resources"
    assert reasons["small"].code == "behind-own-session"
    assert planner.queue.tries(planner.queue.entries["large"]) == 1


def test_a_session_over_a_limit_is_not_in_the_way_of_others_of_its_user():
    planner = planner_with(agent("a", 4), scheduler="drf")
    planner.ledgers.set_limits("keypair:A", {"cpu": 2000})
    planner.enqueue(session("large", 1, cpu=3, user="A"))
    planner.enqueue(session("small", 2, user="A"))
    assert started(planner) == ["small"]


@pytest.mark.parametrize("scheduler", ["fifo", "lifo", "drf"])
def test_a_higher_priority_goes_first_whatever_the_scheduler(scheduler):
    planner = planner_with(agent("a", 10), scheduler=scheduler)
    running(planner, session("b0", 1, cpu=5, user="B"))
    planner.enqueue(session("high", 3, priority=20, user="B"))
    planner.enqueue(session("low", 2, priority=10, user="A"))
    planner.enqueue(session("young", 4, priority=10, user="A"))
    assert waits_in(planner)[0] == "high"
    assert started(planner)[0] == "high"


def test_round_robin_goes_from_agent_to_agent_and_begins_anew():
    planner = planner_with(*(agent(name, 8) for name in ("a1", "a2", "a3")), strategy="roundrobin")
    for turn in range(4):
        planner.enqueue(session(f"s{turn}", turn))
    assert where(planner) == ["a1", "a2", "a3", "a1"]


def test_round_robin_passes_over_who_has_no_room_and_goes_on_after_a_restart():
    planner = planner_with(agent("a1", 8), agent("a2", 1), agent("a3", 8), strategy="roundrobin")
    planner.cluster.hold("before", "a1", (("cpu", 1000),), {})
    planner.enqueue(session("s0", 1, cpu=2))
    planner.enqueue(session("s1", 2, cpu=2))
    assert where(planner) == ["a3", "a1"]


def test_legacy_looks_only_at_what_is_asked_for():
    gpu = agent("gpu", 16, slots={"cuda.shares": 4000})
    for strategy, chosen in (("legacy", "gpu"), ("dispersed", "plain")):
        planner = planner_with(agent("plain", 8), gpu, strategy=strategy)
        planner.enqueue(session("s", 1))
        assert where(planner) == [chosen]


def test_a_designated_agent_is_the_only_one_that_will_do():
    planner = planner_with(agent("a", 1), agent("b", 64), retries_to_skip=0)
    planner.enqueue(session("bound", 1, designated=("a",)))
    planner.enqueue(session("next", 2, designated=("a",)))
    assert where(planner) == ["a"]
    (entry,) = planner.queue
    reason = Explainer(planner).reason(entry)
    assert reason.code == "not-enough-resources"
    assert reason.violations[0].agents == 1


def test_a_designated_agent_that_takes_nothing_new_is_waited_for():
    closed = agent("a", 8, schedulable=False)
    planner = planner_with(closed, agent("b", 8), retries_to_skip=0)
    planner.enqueue(session("bound", 1, designated=("a",)))
    planner.enqueue(session("free", 2))
    assert started(planner) == ["free"]
    (entry,) = planner.queue
    assert Explainer(planner).reason(entry).code == "designated-agents-away"
    planner.cluster.put(closed._replace(schedulable=True))
    planner.agent_changed(planner.cluster.rows["a"])
    assert started(planner) == ["bound"]


def test_what_a_designated_agent_could_never_hold_is_known():
    fleet = [agent("a", 2), agent("b", 64)]
    shape = session("s", 1, cpu=4, designated=("a",)).shape
    assert never_fits(fleet, "default", shape) is not None
    assert never_fits(fleet, "default", shape._replace(designated=())) is None


def test_an_agent_has_no_more_containers_than_it_may():
    planner = planner_with(agent("a", 64), agent("b", 64), max_containers=2)
    planner.enqueue(session("wide", 1, kernels=2))
    for turn in range(2, 5):
        planner.enqueue(session(f"s{turn}", turn))
    assert where(planner) == ["a", "a", "b", "b"]
    (entry,) = planner.queue
    (violation,) = Explainer(planner).reason(entry).violations
    assert (violation.slot, violation.requested, violation.short_by) == ("containers", "1", "1")
    assert violation.agents == 2
    planner.configure(planner.options._replace(max_containers=3))
    assert where(planner) == ["a"]


def test_a_pass_over_everything_is_the_same_whoever_plans_it():
    fleet = [agent(f"a{number}", 4) for number in range(5)]
    queue = [session(f"s{turn}", turn, cpu=1 + turn % 3, user=f"U{turn % 4}") for turn in range(20)]
    for scheduler in ("fifo", "lifo", "drf"):
        options = GroupOptions("default", scheduler=scheduler)
        first = plan(options, fleet, queue)
        assert plan(options, reversed(fleet), reversed(queue)) == first
