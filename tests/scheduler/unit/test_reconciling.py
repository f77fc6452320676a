"""Heartbeats against the books."""

from datetime import timedelta

from services.scheduler.reconciling import Reconciler
from shared.contracts.agents import Heartbeat, NodeLoad
from shared.contracts.kernels import KernelPresence
from tests.scheduler.unit.sessions import START, Life, enqueued, running
from tests.scheduler.unit.test_agents_view import profile

LOAD = NodeLoad(
    cpu_percent=0,
    mem_used_bytes=0,
    mem_total_bytes=0,
    disk_used_bytes=0,
    disk_total_bytes=0,
    net_received_bytes_s=0,
    net_sent_bytes_s=0,
)


class Node:
    """Sends beats; `seconds` is when, on the node's clock."""

    def __init__(self, *lives) -> None:
        self.reconciler = Reconciler()
        self.lives = lives
        self.sequence = 0

    def beat(self, *kernels, seconds=100, incarnation="i1", sequence=None):
        self.sequence += 1
        beat = Heartbeat(
            agent_id="a1",
            incarnation=incarnation,
            sequence=self.sequence if sequence is None else sequence,
            at=START + timedelta(seconds=seconds),
            profile=profile(),
            load=LOAD,
            kernels=kernels,
        )
        booked = [
            (life.state, kernel)
            for life in self.lives
            for kernel in life.state.kernels
            if kernel.is_live
        ]
        return self.reconciler.compare(beat, booked)


def presence(kernel_id="s1.0", attempt=1, phase="running"):
    return KernelPresence(
        session_id=kernel_id.split(".")[0], kernel_id=kernel_id, attempt=attempt, phase=phase
    )


def test_nothing_is_found_when_node_and_books_agree():
    assert Node(running()).beat(presence()).is_clean


def test_a_running_kernel_is_lost_after_two_beats_without_it():
    node = Node(running())
    assert node.beat().is_clean
    assert node.beat().lost == {"s1": ("s1.0",)}


def test_one_beat_with_it_in_between_starts_the_count_anew():
    node = Node(running())
    node.beat()
    node.beat(presence())
    assert node.beat().is_clean


def test_a_beat_from_before_the_start_says_nothing():
    node = Node(running())
    assert node.beat(seconds=0).is_clean
    assert node.beat(seconds=0).is_clean


def test_an_old_beat_that_comes_late_is_ignored():
    node = Node(running())
    node.beat(sequence=5)
    assert node.beat(sequence=4).is_clean
    assert node.beat(sequence=5).is_clean
    assert node.beat(sequence=6).lost


def test_a_reserved_kernel_that_the_node_has_not_heard_of_is_said_again():
    life = Life(enqueued())
    life.place()
    node = Node(life)
    node.beat()
    assert node.beat().unheard == ("s1.0",)


def test_a_kernel_that_was_to_stop_and_is_unknown_is_gone():
    life = Life(enqueued())
    life.place()
    life.terminate()
    node = Node(life)
    node.beat()
    assert node.beat().lost == {"s1": ("s1.0",)}


def test_what_nobody_booked_is_a_stray_unless_it_has_ended():
    found = Node().beat(presence("x.0"), presence("y.0", phase="terminated"))
    assert [stray.kernel_id for stray in found.stray] == ["x.0"]


def test_another_attempt_of_a_booked_kernel_is_a_stray():
    found = Node(running()).beat(presence(attempt=2))
    assert [stray.attempt for stray in found.stray] == [2]


def test_a_new_incarnation_says_nothing_of_the_old_ones_kernels():
    node = Node(running())
    for _ in range(3):
        assert node.beat(incarnation="i2").is_clean
