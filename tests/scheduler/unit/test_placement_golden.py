"""The golden examples of the semantics that placement must agree with."""

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import Agent, Device, GroupOptions, Waiting, shape_of
from services.scheduler.placement.plan import plan
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer, never_fits

GIB = 2**30


def agent(name, cpu, mem=64 * GIB, **more):
    capacity = {"cpu": cpu * 1000, "mem": mem, **more.pop("slots", {})}
    return Agent(name, "default", "x86_64", capacity, **more)


def session(name, turn, cpu=1, priority=10, kernels=1, mode="single-node", **slots):
    shape = shape_of({"cpu": cpu * 1000, **slots}, "img", "x86_64", kernels, mode)
    kernel_ids = tuple(f"{name}.{number}" for number in range(kernels))
    return Waiting(name, priority, turn, shape, kernel_ids)


def where(outcome):
    return {
        kernel.kernel_id: kernel.agent_id for placed in outcome.placed for kernel in placed.kernels
    }


def started(outcome):
    return [placed.session_id for placed in outcome.placed]


def planner_with(*agents, **options):
    cluster = Cluster()
    planner = GroupPlanner(GroupOptions("default", **options), cluster)
    for one in agents:
        cluster.put(one)
    return planner


def test_fifo_passes_over_a_too_large_head_only_after_its_retries():
    planner = planner_with(agent("a", 4), retries_to_skip=2)
    planner.cluster.hold("other", "a", (("cpu", 2000),), {})
    planner.enqueue(session("A", 1, cpu=4))
    planner.enqueue(session("B", 2, cpu=1))
    assert [started(planner.run(9)) for _ in range(3)] == [[], [], ["B"]]
    assert planner.queue.tries(planner.queue.entries["A"]) == 3


def test_strict_fifo_never_lets_anyone_pass():
    planner = planner_with(agent("a", 2), retries_to_skip=0)
    planner.enqueue(session("A", 1, cpu=4))
    planner.enqueue(session("B", 2, cpu=1))
    assert [started(planner.run(9)) for _ in range(10)] == [[]] * 10


def test_priority_goes_before_age():
    outcome = plan(
        GroupOptions("default"),
        [agent("a", 2)],
        [session("old", 1), session("new", 2, priority=20)],
    )
    assert started(outcome) == ["new", "old"]


def test_concentrated_fills_the_fullest_agent_and_dispersed_the_emptiest():
    fleet = [agent("X", 8), agent("Y", 2)]
    for strategy, chosen in (("concentrated", "Y"), ("dispersed", "X")):
        outcome = plan(GroupOptions("default", strategy=strategy), fleet, [session("s", 1)])
        assert where(outcome) == {"s.0": chosen}


def test_a_cpu_only_session_stays_away_from_an_agent_with_a_gpu():
    gpu = agent("Z", 1, slots={"cuda.device": 1000}, devices=(Device("g0", "cuda.device", 1000),))
    fleet = [agent("X", 8), agent("Y", 2), gpu]
    for strategy, chosen in (("concentrated", "Y"), ("dispersed", "X")):
        outcome = plan(GroupOptions("default", strategy=strategy), fleet, [session("s", 1)])
        assert where(outcome) == {"s.0": chosen}


def test_equal_agents_are_taken_in_the_order_of_their_ids():
    outcome = plan(
        GroupOptions("default"), [agent("b", 4), agent("a", 4)], [session("s", 1), session("t", 2)]
    )
    assert where(outcome) == {"s.0": "a", "t.0": "b"}


def test_a_cluster_over_nodes_starts_whole_or_not_at_all():
    cluster = session("c", 1, cpu=2, kernels=3, mode="multi-node")
    refused = plan(GroupOptions("default"), [agent("a", 4), agent("b", 1)], [cluster])
    assert where(refused) == {}
    assert refused.waiting["c"].code == "not-enough-agents"
    placed = plan(GroupOptions("default"), [agent("a", 4), agent("b", 3)], [cluster])
    assert sorted(where(placed).values()) == ["a", "a", "b"]


def test_a_cluster_on_one_node_needs_the_sum_on_one_agent():
    cluster = session("c", 1, cpu=2, kernels=3)
    assert where(plan(GroupOptions("default"), [agent("a", 4), agent("b", 4)], [cluster])) == {}
    outcome = plan(GroupOptions("default"), [agent("a", 4), agent("b", 6)], [cluster])
    assert set(where(outcome).values()) == {"b"}


def test_a_share_goes_to_the_device_with_the_least_sufficient_remainder():
    devices = (Device("d0", "cuda.shares", 1000), Device("d1", "cuda.shares", 1000))
    used = {"d0": 700, "d1": 400}
    assert allocate("cuda.shares", 500, devices, used) == {"d1": 500}
    spread = allocate("cuda.shares", 700, devices, used)
    assert spread is not None
    assert sum(spread.values()) == 700
    assert set(spread) == {"d0", "d1"}
    assert allocate("cuda.shares", 910, devices, used) is None


def test_whole_devices_are_untouched_ones():
    devices = tuple(Device(f"d{number}", "cuda.device", 1000) for number in range(3))
    assert allocate("cuda.device", 2000, devices, {"d1": 1000}) == {"d0": 1000, "d2": 1000}
    assert allocate("cuda.device", 3000, devices, {"d1": 1000}) is None


def test_every_waiting_session_says_what_is_short_by_how_much_and_on_how_many_agents():
    planner = planner_with(agent("a", 4), agent("b", 3))
    planner.cluster.hold("other", "a", (("cpu", 2000),), {})
    planner.enqueue(session("big", 1, cpu=4))
    planner.enqueue(session("small", 2))
    planner.run(9)
    explainer = Explainer(planner)
    big, small = (explainer.reason(entry) for entry in planner.queue)
    assert big.code == "not-enough-resources"
    (violation,) = big.violations
    assert (violation.slot, violation.requested, violation.short_by) == ("cpu", "4", "1")
    assert (violation.limit, violation.agents) == ("3", 2)
    assert small.code == "behind-first-in-line"


def test_a_group_that_is_inactive_or_empty_says_so():
    queue = [session("s", 1)]
    inactive = plan(GroupOptions("default", is_active=False), [agent("a", 4)], queue)
    assert inactive.waiting["s"].code == "group-inactive"
    assert plan(GroupOptions("default"), [], queue).waiting["s"].code == "no-agents"
    lost = [agent("a", 4, alive=False)]
    assert plan(GroupOptions("default"), lost, queue).waiting["s"].code == "no-agent-alive"
    closed = [agent("a", 4, schedulable=False)]
    assert plan(GroupOptions("default"), closed, queue).waiting["s"].code == "no-agent-schedulable"


def test_a_session_whose_image_nobody_offers_is_in_nobodys_way():
    fleet = [agent("a", 4, images=frozenset({"img"}))]
    shape = shape_of({"cpu": 1000}, "unknown", "x86_64", 1, "single-node")
    queue = [Waiting("odd", 10, 1, shape, ("odd.0",)), session("s", 2)]
    outcome = plan(GroupOptions("default", retries_to_skip=0), fleet, queue)
    assert started(outcome) == ["s"]
    assert outcome.waiting["odd"].code == "no-agent-offers-image"


def test_what_no_empty_agent_could_hold_is_known_with_numbers():
    fleet = [agent("a", 4), agent("b", 8, alive=False)]
    impossible = never_fits(fleet, "default", session("s", 1, cpu=9).shape)
    assert impossible is not None
    assert "cpu 9 was asked and the largest agent has 8" in impossible.message
    assert impossible.violations[0].short_by == "1"
    assert never_fits(fleet, "default", session("s", 1, cpu=8).shape) is None
    assert never_fits([], "default", session("s", 1, cpu=9).shape) is None
    wide = session("s", 1, cpu=4, kernels=4, mode="multi-node").shape
    assert never_fits(fleet, "default", wide) is not None
    assert never_fits([*fleet, agent("c", 4)], "default", wide) is None


def test_what_ends_lets_the_next_one_in():
    planner = planner_with(agent("a", 1))
    planner.enqueue(session("first", 1))
    planner.enqueue(session("second", 2))
    assert started(planner.run(9)) == ["first"]
    assert not planner.due
    planner.freed(planner.cluster.release("first.0"))
    assert planner.due
    assert started(planner.run(9)) == ["second"]
