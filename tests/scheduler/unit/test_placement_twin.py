"""The fast placement decides as the slow obvious one, whatever happens in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import Agent, Device, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer
from tests.scheduler.unit.twin import Twin

AMOUNTS = st.sampled_from([0, 1000, 2000, 3000, 4000])
GROUP = "default"


@st.composite
def agents(draw):
    capacity = {"cpu": draw(AMOUNTS), "mem": draw(st.integers(1, 4))}
    devices = ()
    kind = draw(st.sampled_from(["", "", "cuda.shares", "cuda.device"]))
    if kind:
        count = draw(st.integers(1, 3))
        devices = tuple(Device(f"d{number}", kind, 1000) for number in range(count))
        capacity[kind] = 1000 * count
    return Agent(
        agent_id=draw(st.sampled_from(["a1", "a2", "a3", "a4"])),
        group=draw(st.sampled_from([GROUP, GROUP, GROUP, "other"])),
        architecture=draw(st.sampled_from(["x86_64", "x86_64", "aarch64"])),
        capacity=capacity,
        devices=devices,
        images=draw(st.sampled_from([None, frozenset({"img"}), frozenset({"other"})])),
        alive=draw(st.sampled_from([True, True, True, False])),
        schedulable=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def requests(draw):
    resources = {"cpu": draw(AMOUNTS), "mem": draw(st.integers(0, 3))}
    accelerator = draw(st.sampled_from(["", "", "cuda.shares", "cuda.device"]))
    if accelerator == "cuda.device":
        resources[accelerator] = draw(st.sampled_from([1000, 2000]))
    elif accelerator:
        resources[accelerator] = draw(st.sampled_from([300, 500, 700, 1000, 1500]))
    kernels = draw(st.sampled_from([1, 1, 1, 2, 3]))
    mode = draw(st.sampled_from(["single-node", "multi-node"]))
    image = draw(st.sampled_from(["img", "img", "img", "absent"]))
    priority = draw(st.sampled_from([10, 10, 10, 20, 0]))
    return shape_of(resources, image, "x86_64", kernels, mode), priority


STEPS = st.one_of(
    st.tuples(st.just("agent"), agents()),
    st.tuples(st.just("enqueue"), requests()),
    st.tuples(st.just("enqueue"), requests()),
    st.tuples(st.just("pass"), st.sampled_from([1, 2, 100, 100, 100])),
    st.tuples(st.just("end"), st.integers(0, 50)),
    st.tuples(st.just("withdraw"), st.integers(0, 50)),
)


class Both:
    """The fast and the slow placement, doing the same."""

    def __init__(self, options) -> None:
        self.cluster = Cluster()
        self.fast = GroupPlanner(options, self.cluster)
        self.slow = Twin(options)
        self.explainer = Explainer(self.fast)
        self.turn = 0

    def agent(self, agent):
        self.cluster.put(agent)
        self.fast.agent_changed(self.cluster.rows[agent.agent_id])
        self.slow.agents[agent.agent_id] = agent

    def enqueue(self, request):
        shape, priority = request
        self.turn += 1
        kernel_ids = tuple(f"k{self.turn}.{number}" for number in range(shape.kernels))
        session = Waiting(f"s{self.turn}", priority, self.turn, shape, kernel_ids)
        self.fast.enqueue(session)
        self.slow.queue[session.session_id] = [session, 0, False]

    def run(self, limit):
        fast = [
            (placed.session_id, tuple(tuple(kernel) for kernel in placed.kernels))
            for placed in self.fast.run(limit).placed
        ]
        assert fast == self.slow.run(limit)
        order = sorted(self.slow.queue.values(), key=lambda item: (-item[0].priority, item[0].turn))
        assert [entry.session.session_id for entry in self.fast.queue] == [
            item[0].session_id for item in order
        ]
        tries = {item[0].session_id: item[1] for item in order}
        assert {
            entry.session.session_id: self.fast.queue.tries(entry) for entry in self.fast.queue
        } == tries

    def end(self, pick):
        sessions = sorted({kernel_id.split(".")[0] for kernel_id in self.slow.holdings})
        if not sessions:
            return
        chosen = sessions[pick % len(sessions)]
        for kernel_id in [key for key in self.slow.holdings if key.split(".")[0] == chosen]:
            del self.slow.holdings[kernel_id]
            self.fast.freed(self.cluster.release(kernel_id))

    def withdraw(self, pick):
        if self.slow.queue:
            session_id = sorted(self.slow.queue)[pick % len(self.slow.queue)]
            del self.slow.queue[session_id]
            self.fast.withdraw(session_id)

    def check(self):
        for agent_id, row in self.cluster.rows.items():
            assert row.left() == self.slow.left(self.slow.agents[agent_id])
        for entry in self.fast.queue:
            reason = self.explainer.reason(entry)
            assert reason.code
            assert reason.message


@settings(max_examples=300, deadline=None)
@given(
    strategy=st.sampled_from(["dispersed", "concentrated"]),
    retries=st.sampled_from([0, 1, 2, 3]),
    steps=st.lists(STEPS, max_size=40),
)
def test_the_fast_placement_decides_as_the_slow_one(strategy, retries, steps):
    both = Both(GroupOptions(GROUP, strategy=strategy, retries_to_skip=retries))
    for kind, argument in steps:
        getattr(both, "run" if kind == "pass" else kind)(argument)
        both.check()
    both.run(100)
    both.check()


@settings(max_examples=100, deadline=None)
@given(
    fleet=st.lists(agents(), min_size=1, max_size=4),
    work=st.lists(requests(), min_size=1, max_size=12),
)
def test_an_agent_never_gives_more_than_it_has(fleet, work):
    both = Both(GroupOptions(GROUP))
    for agent in fleet:
        both.agent(agent)
    for request in work:
        both.enqueue(request)
    both.run(100)
    for row in both.cluster.rows.values():
        assert all(amount >= 0 for amount in row.left().values())
        for device in row.agent.devices:
            assert row.devices_used.get(device.device_id, 0) <= device.amount


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEPS, max_size=30))
def test_a_pass_that_nothing_asked_for_would_place_nothing(steps):
    both = Both(GroupOptions(GROUP, retries_to_skip=0))
    for kind, argument in steps:
        getattr(both, "run" if kind == "pass" else kind)(argument)
        if not both.fast.due:
            before = len(both.fast.queue)
            both.run(100)
            assert len(both.fast.queue) == before
