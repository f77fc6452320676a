"""The fast placement decides as the slow obvious one, whatever happens in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, Device, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer
from tests.scheduler.unit.twin import Twin

AMOUNTS = st.sampled_from([0, 1000, 2000, 3000, 4000])
GROUP = "default"
AGENTS = ["a1", "a2", "a3", "a4"]
PROJECTS = ["project:P", "project:Q"]
KEYPAIRS = ["keypair:U", "keypair:V", "keypair:W"]


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
        agent_id=draw(st.sampled_from(AGENTS)),
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
    designated = draw(st.sampled_from([(), (), (), (), ("a1",), ("a2", "a3")]))
    shape = shape_of(resources, image, "x86_64", kernels, mode, designated)
    priority = draw(st.sampled_from([10, 10, 10, 20, 0]))
    return shape, priority, draw(st.sampled_from("UUVW")), draw(st.sampled_from(PROJECTS))


LIMITS = st.tuples(
    st.sampled_from([*KEYPAIRS, *PROJECTS]),
    st.dictionaries(st.sampled_from(["cpu", "mem", "cuda.shares"]), st.none() | AMOUNTS),
    st.sampled_from(["unlimited", "unlimited", "limited"]),
    st.sampled_from([None, None, 0, 1, 2]),
)
STEPS = st.one_of(
    st.tuples(st.just("agent"), agents()),
    st.tuples(st.just("enqueue"), requests()),
    st.tuples(st.just("enqueue"), requests()),
    st.tuples(st.just("enqueue"), requests()),
    st.tuples(st.just("pass"), st.sampled_from([1, 2, 100, 100, 100])),
    st.tuples(st.just("pass"), st.just(100)),
    st.tuples(st.just("end"), st.integers(0, 50)),
    st.tuples(st.just("withdraw"), st.integers(0, 50)),
    st.tuples(st.just("limit"), LIMITS),
)
OPTIONS = st.builds(
    GroupOptions,
    name=st.just(GROUP),
    is_active=st.sampled_from([True] * 9 + [False]),
    strategy=st.sampled_from(["dispersed", "concentrated", "roundrobin", "legacy"]),
    retries_to_skip=st.sampled_from([0, 1, 2, 3]),
    scheduler=st.sampled_from(["fifo", "lifo", "drf"]),
    max_containers=st.sampled_from([None, None, 1, 3]),
    allows_fragmentation=st.booleans(),
)


class Both:
    """The fast and the slow placement, doing the same."""

    def __init__(self, options) -> None:
        self.cluster = Cluster()
        self.ledgers = Ledgers()
        self.fast = GroupPlanner(options, self.cluster, self.ledgers)
        self.slow = Twin(options)
        self.explainer = Explainer(self.fast)
        self.turn = 0

    def agent(self, agent):
        before = self.cluster.rows.get(agent.agent_id)
        self.cluster.put(agent)
        self.fast.agent_changed(self.cluster.rows[agent.agent_id])
        assert before is None or before is self.cluster.rows[agent.agent_id]
        self.slow.agents[agent.agent_id] = agent

    def enqueue(self, request):
        shape, priority, user, project = request
        self.turn += 1
        kernel_ids = tuple(f"k{self.turn}.{number}" for number in range(shape.kernels))
        scopes = (f"keypair:{user}", project)
        session = Waiting(f"s{self.turn}", priority, self.turn, shape, kernel_ids, user, scopes)
        self.fast.enqueue(session)
        self.slow.queue[session.session_id] = [session, 0, False]

    def run(self, limit):
        fast = [
            (placed.session_id, tuple(tuple(kernel) for kernel in placed.kernels))
            for placed in self.fast.run(limit).placed
        ]
        assert fast == self.slow.run(limit)
        queue = self.fast.queue
        assert {key: queue.tries(entry) for key, entry in queue.entries.items()} == {
            session_id: item[1] for session_id, item in self.slow.queue.items()
        }

    def limit(self, limits):
        scope, slots, default, max_sessions = limits
        self.ledgers.set_limits(scope, slots, default, max_sessions)
        self.slow.limits[scope] = (slots, default, max_sessions)

    def end(self, pick):
        sessions = sorted(self.slow.charged)
        if not sessions:
            return
        chosen = sessions[pick % len(sessions)]
        for kernel_id in self.slow.charged.pop(chosen).kernel_ids:
            del self.slow.holdings[kernel_id]
            self.fast.freed(self.cluster.release(kernel_id))
        self.ledgers.refund(chosen)

    def withdraw(self, pick):
        if self.slow.queue:
            session_id = sorted(self.slow.queue)[pick % len(self.slow.queue)]
            del self.slow.queue[session_id]
            self.fast.withdraw(session_id)

    def check(self):
        for agent_id, row in self.cluster.rows.items():
            assert row.left() == self.slow.left(self.slow.agents[agent_id])
        for session_id, entry in self.fast.queue.entries.items():
            reason = self.explainer.reason(entry)
            assert reason.code
            assert reason.message
            if self.slow.usable() and self.slow.options.is_active:
                is_over = self.slow.over(self.slow.queue[session_id][0])
                assert is_over == (reason.code == "over-limit")

    def check_order(self):
        order = self.slow.order()
        queue = self.fast.queue
        assert [entry.session.session_id for entry in queue] == order
        for offset in range(len(order) + 1):
            page = queue.page(offset, 2)
            assert [entry.session.session_id for entry in page] == order[offset : offset + 2]


@settings(max_examples=400, deadline=None)
@given(options=OPTIONS, steps=st.lists(STEPS, max_size=40))
def test_the_fast_placement_decides_as_the_slow_one(options, steps):
    both = Both(options)
    for kind, argument in steps:
        getattr(both, "run" if kind == "pass" else kind)(argument)
        both.check()
    both.run(100)
    both.check()
    both.check_order()


@settings(max_examples=150, deadline=None)
@given(options=OPTIONS, fleet=st.lists(agents(), min_size=1, max_size=4), work=st.data())
def test_an_agent_never_gives_more_than_it_has_and_nobody_gets_more_than_allowed(
    options, fleet, work
):
    both = Both(options)
    for agent in fleet:
        both.agent(agent)
    for limits in work.draw(st.lists(LIMITS, max_size=4)):
        both.limit(limits)
    for request in work.draw(st.lists(requests(), min_size=1, max_size=12)):
        both.enqueue(request)
    both.run(100)
    for row in both.cluster.rows.values():
        assert all(amount >= 0 for amount in row.left().values())
        assert options.max_containers is None or row.kernels <= options.max_containers
        for device in row.agent.devices:
            assert row.devices_used.get(device.device_id, 0) <= device.amount
    for scope, (slots, default, max_sessions) in both.slow.limits.items():
        account = both.ledgers.account(scope)
        assert max_sessions is None or account.sessions <= max_sessions
        for name, used in account.used.items():
            ceiling = slots.get(name, 0 if default == "limited" else None)
            assert ceiling is None or used <= ceiling


@settings(max_examples=200, deadline=None)
@given(options=OPTIONS, steps=st.lists(STEPS, max_size=30))
def test_a_pass_that_nothing_asked_for_would_place_nothing(options, steps):
    both = Both(options._replace(retries_to_skip=0))
    for kind, argument in steps:
        getattr(both, "run" if kind == "pass" else kind)(argument)
        if not both.fast.due:
            before = len(both.fast.queue)
            both.run(100)
            assert len(both.fast.queue) == before


@settings(max_examples=100, deadline=None)
@given(first=OPTIONS, then=OPTIONS, steps=st.lists(STEPS, max_size=25), more=st.lists(STEPS))
def test_a_group_that_places_otherwise_now_does_so_with_those_who_wait(first, then, steps, more):
    both = Both(first._replace(strategy="legacy"))
    for kind, argument in steps:
        getattr(both, "run" if kind == "pass" else kind)(argument)
    options = then._replace(strategy="dispersed")
    both.fast.configure(options)
    both.slow.options = options
    for item in both.slow.queue.values():
        item[2] = False  # its tries count on; when it fails again, they may be enough
    for kind, argument in more:
        getattr(both, "run" if kind == "pass" else kind)(argument)
    both.run(100)
    both.check_order()
