"""Limits at placement: who is over one steps aside, and is asked again when it lets him pass."""

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer

GIB = 2**30
KEYPAIR, PROJECT = "keypair:AK", "project:P"


def agent(name="a", cpu=64, group="default"):
    capacity = {"cpu": cpu * 1000, "mem": 64 * GIB, "cuda.shares": 8000}
    return Agent(name, group, "x86_64", capacity)


def session(name, turn, cpu=1, scopes=(KEYPAIR, PROJECT), kernels=1, **slots):
    shape = shape_of({"cpu": cpu * 1000, **slots}, "img", "x86_64", kernels, "single-node")
    kernel_ids = tuple(f"{name}.{number}" for number in range(kernels))
    return Waiting(name, 10, turn, shape, kernel_ids, "U", scopes)


class Group:
    """A group with one agent, and the ledgers that it shares with others."""

    def __init__(self, cpu=64, ledgers=None, **options) -> None:
        self.ledgers = Ledgers() if ledgers is None else ledgers
        self.cluster = Cluster()
        self.planner = GroupPlanner(GroupOptions("default", **options), self.cluster, self.ledgers)
        self.cluster.put(agent(cpu=cpu))

    def wait(self, *sessions):
        for one in sessions:
            self.planner.enqueue(one)

    def start(self):
        return [placed.session_id for placed in self.planner.run(99).placed]

    def end(self, session_id):
        for kernel_id in list(self.cluster.holdings):
            if kernel_id.startswith(f"{session_id}."):
                self.planner.freed(self.cluster.release(kernel_id))
        self.ledgers.refund(session_id)

    def reason(self, session_id):
        return Explainer(self.planner).reason(self.planner.queue.entries[session_id])


def test_the_fourth_of_three_concurrent_sessions_waits_until_one_is_over():
    group = Group()
    group.ledgers.set_limits(KEYPAIR, {}, max_sessions=3)
    group.wait(*(session(name, turn) for turn, name in enumerate("abcd")))
    assert group.start() == ["a", "b", "c"]
    reason = group.reason("d")
    assert reason.code == "over-limit"
    (violation,) = reason.violations
    assert (violation.scope, violation.slot) == (KEYPAIR, "sessions")
    assert (violation.used, violation.requested, violation.limit) == ("3", "1", "3")
    assert not group.planner.due
    group.end("b")
    assert group.planner.due
    assert group.start() == ["d"]


def test_what_is_over_its_slots_waits_and_says_with_which_numbers():
    group = Group()
    limits = {"cpu": 2000, "mem": 4 * GIB, "cuda.shares": 1000}
    group.ledgers.set_limits(KEYPAIR, limits)
    each = {"mem": GIB, "cuda.shares": 500}
    group.wait(session("a", 1, **each), session("b", 2, **each), session("c", 3))
    assert group.start() == ["a", "b"]
    assert "cpu used 2, requested 1, limit 2" in group.reason("c").message


def test_a_slot_that_is_not_named_is_nothing_when_limited_and_everything_when_not():
    group = Group()
    group.wait(session("a", 1, **{"cuda.shares": 500}))
    group.ledgers.set_limits(KEYPAIR, {"cpu": 2000}, "limited")
    assert group.start() == []
    assert [one.slot for one in group.reason("a").violations] == ["cuda.shares"]
    group.ledgers.set_limits(KEYPAIR, {"cpu": 2000, "cuda.shares": None}, "limited")
    assert group.start() == ["a"]
    group.wait(session("b", 2, **{"cuda.shares": 500}))
    group.ledgers.set_limits(KEYPAIR, {"cpu": 2000}, "unlimited")
    assert group.start() == ["b"]


def test_a_session_over_a_limit_is_in_nobodys_way():
    group = Group(retries_to_skip=0)
    group.ledgers.set_limits(KEYPAIR, {"cpu": 1000})
    group.wait(session("large", 1, cpu=2), session("other", 2, scopes=("keypair:B", PROJECT)))
    assert group.start() == ["other"]


def test_a_raised_limit_asks_for_a_pass_at_once():
    group = Group()
    group.ledgers.set_limits(PROJECT, {"cpu": 1000})
    group.wait(session("a", 1, cpu=2))
    assert group.start() == []
    assert not group.planner.due
    group.ledgers.set_limits(PROJECT, {"cpu": 1500})
    assert not group.planner.due
    group.ledgers.set_limits(PROJECT, {"cpu": 2000})
    assert group.planner.due
    assert group.start() == ["a"]


def test_whoever_is_still_over_another_limit_goes_on_waiting():
    group = Group()
    group.ledgers.set_limits(KEYPAIR, {"cpu": 0})
    group.ledgers.set_limits(PROJECT, {"cpu": 0})
    group.wait(session("a", 1))
    assert group.start() == []
    group.ledgers.set_limits(KEYPAIR, {})
    assert not group.planner.due
    group.ledgers.set_limits(PROJECT, {})
    assert group.start() == ["a"]


def test_what_blocks_for_lack_of_room_steps_aside_when_it_is_over_a_limit():
    group = Group(cpu=4, retries_to_skip=0)
    group.wait(session("large", 1, cpu=8), session("other", 2, scopes=("keypair:B",)))
    assert group.start() == []
    assert not group.planner.due
    group.ledgers.set_limits(KEYPAIR, {"cpu": 4000})
    assert group.planner.due
    assert group.start() == ["other"]


def test_a_limit_holds_over_all_groups():
    ledgers = Ledgers()
    here, there = Group(ledgers=ledgers), Group(ledgers=ledgers)
    ledgers.set_limits(KEYPAIR, {}, max_sessions=1)
    here.wait(session("a", 1))
    there.wait(session("b", 2))
    assert here.start() == ["a"]
    assert there.start() == []
    here.end("a")
    assert there.planner.due
    assert there.start() == ["b"]


def test_a_cluster_counts_with_all_its_kernels():
    group = Group()
    group.ledgers.set_limits(KEYPAIR, {"cpu": 5000})
    group.wait(session("wide", 1, cpu=2, kernels=3))
    assert group.start() == []
    assert group.reason("wide").violations[0].requested == "6"


def test_what_had_its_place_before_a_restart_is_charged_once():
    group = Group()
    group.ledgers.set_limits(KEYPAIR, {}, max_sessions=2)
    group.wait(session("old", 1))
    group.planner.scheduled("old")
    group.planner.scheduled("old")
    group.wait(session("a", 2), session("b", 3))
    assert group.start() == ["a"]
    group.planner.scheduled("a")
    assert group.ledgers.account(KEYPAIR).sessions == 2


def test_who_gives_up_while_a_limit_holds_him_leaves_nothing_behind():
    group = Group()
    group.ledgers.set_limits(KEYPAIR, {"cpu": 0})
    group.wait(session("a", 1), session("b", 2))
    assert group.start() == []
    group.planner.withdraw("a")
    group.planner.withdraw("b")
    group.ledgers.set_limits(KEYPAIR, {})
    assert group.start() == []
    assert len(group.planner.queue) == 0


def test_who_was_passed_over_long_ago_starts_when_enough_is_free_at_last():
    group = Group(cpu=2, retries_to_skip=1)
    group.wait(session("a", 1))
    assert group.start() == ["a"]
    group.wait(session("big", 2, cpu=2))
    assert group.start() == []
    group.wait(session("b", 3))
    assert group.start() == ["b"]
    group.end("a")
    assert group.start() == []
    group.end("b")
    assert group.start() == ["big"]
