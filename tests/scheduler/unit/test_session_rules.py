"""The life of a session, in sentences."""

import pytest

from services.scheduler.domain import session_rules
from shared.kernel.rejections import Rejection
from tests.scheduler.unit.sessions import START, Life, enqueued, running


def test_a_session_runs_from_the_queue_to_success():
    life = Life(enqueued())
    assert life.state.status == "PENDING"
    assert life.place() == ["SessionScheduled"]
    assert life.report("preparing") == ["SessionPreparing"]
    assert life.report("running") == ["KernelStarted", "SessionStarted"]
    assert life.state.status == "RUNNING"
    assert life.report("terminated", exit_code=0) == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.result, life.last.exit_code, life.last.reason) == (
        "success",
        0,
        "task-finished",
    )


def test_a_batch_session_that_exits_with_an_error_has_failed():
    life = running()
    life.report("terminated", exit_code=3)
    assert (life.last.result, life.last.exit_code, life.last.reason) == (
        "failure",
        3,
        "task-failed",
    )


def test_an_interactive_session_that_ends_by_itself_tells_its_exit_code():
    life = running(session_type="interactive")
    life.report("terminated", exit_code=0)
    assert (life.last.result, life.last.exit_code, life.last.reason) == (
        "success",
        0,
        "self-terminated",
    )


def test_what_ran_out_of_memory_says_so():
    life = running()
    life.report("terminated", exit_code=137, reason="out-of-memory")
    assert (life.last.result, life.last.reason) == ("failure", "out-of-memory")


def test_a_report_that_the_kernel_runs_implies_that_it_was_prepared():
    life = Life(enqueued())
    life.place()
    assert life.report("running") == ["SessionPreparing", "KernelStarted", "SessionStarted"]


def test_repeated_and_late_reports_change_nothing():
    life = running()
    assert life.report("preparing") == []
    assert life.report("running") == []
    life.report("terminated", exit_code=0)
    for phase in ("preparing", "running", "terminated", "failed"):
        assert life.report(phase, exit_code=1) == []
    assert life.state.status == "TERMINATED"


def test_an_end_that_overtakes_the_start_is_the_end():
    life = Life(enqueued())
    life.place()
    assert life.report("terminated", exit_code=0) == ["KernelTerminated", "SessionTerminated"]
    assert life.report("running") == []


@pytest.mark.parametrize(
    "stranger", [{"agent": "a2"}, {"incarnation": "i2"}, {"attempt": 2}, {"attempt": 0}]
)
def test_a_report_of_another_agent_incarnation_or_attempt_is_ignored(stranger):
    life = Life(enqueued())
    life.place()
    assert life.report("running", **stranger) == []
    assert life.report("terminated", exit_code=0, **stranger) == []


def test_a_pending_session_that_is_terminated_is_cancelled():
    life = Life(enqueued())
    assert life.terminate() == ["SessionCancelled"]
    assert life.state.status == "CANCELLED"
    assert life.place() == []


def test_a_running_session_holds_its_place_until_its_node_says_that_it_is_gone():
    life = running()
    assert life.terminate(grace_s=7) == ["SessionTerminating"]
    assert life.last.grace_s == 7
    assert life.state.main.is_live
    assert life.terminate() == []
    assert life.report("terminated", exit_code=143) == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.reason, life.last.result) == ("user-requested", "undefined")


def test_force_kills_at_once_where_the_agent_can_be_asked():
    life = running()
    life.terminate()
    assert life.terminate(forced=True) == ["SessionTerminating"]
    assert (life.last.forced, life.last.grace_s) == (True, 0)
    life.report("terminated", exit_code=137)
    assert life.last.reason == "force-terminated"


def test_force_gives_up_what_runs_on_an_agent_that_cannot_be_asked():
    life = running()
    assert life.terminate(forced=True, reachable=False) == [
        "SessionTerminating",
        "KernelTerminated",
        "SessionTerminated",
    ]
    assert life.report("terminated", exit_code=0) == []


def test_an_absurd_grace_period_is_refused():
    life = running()
    refusal = session_rules.terminate(
        life.state, forced=False, grace_s=-1, at=START, is_reachable=lambda _: True
    )
    assert isinstance(refusal, Rejection)
    assert refusal.errors[0].field == "grace_s"


def test_a_session_that_cannot_be_started_is_in_error_and_tells_why():
    life = Life(enqueued())
    life.place()
    assert life.report("failed", detail="no such program") == ["KernelTerminated", "SessionFailed"]
    assert (life.state.status, life.last.reason) == ("ERROR", "failed-to-start")
    assert life.last.detail == "no such program"


def test_a_session_whose_image_is_not_on_its_node_says_so():
    life = Life(enqueued())
    life.place()
    about = {"reason": "image-not-available", "detail": "The image 'img' is not on this node."}
    assert life.report("failed", **about) == ["KernelTerminated", "SessionFailed"]
    assert (life.state.status, life.last.reason) == ("ERROR", about["reason"])
    assert life.last.detail == about["detail"]


def test_the_end_of_the_main_kernel_ends_the_others():
    life = running(kernels=3)
    assert life.report("terminated", 0, exit_code=0) == ["KernelTerminated", "SessionTerminating"]
    assert life.report("terminated", 1, exit_code=143) == ["KernelTerminated"]
    assert life.report("terminated", 2, exit_code=143) == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.reason, life.last.result, life.last.exit_code) == (
        "task-finished",
        "success",
        0,
    )


def test_a_kernel_that_fails_takes_the_session_with_it():
    life = running(kernels=2)
    assert life.report("terminated", 1, exit_code=1) == ["KernelTerminated", "SessionTerminating"]
    life.report("terminated", 0, exit_code=143)
    assert (life.last.reason, life.last.result) == ("task-failed", "failure")


def test_a_sub_kernel_that_finishes_leaves_the_session_running():
    life = running(kernels=2)
    assert life.report("terminated", 1, exit_code=0) == ["KernelTerminated"]
    assert life.state.status == "RUNNING"


def test_a_session_starts_only_when_every_kernel_runs():
    life = Life(enqueued(kernels=2))
    life.place()
    assert life.report("running", 0) == ["SessionPreparing", "KernelStarted"]
    assert life.state.status == "PREPARING"
    assert life.report("running", 1) == ["KernelStarted", "SessionStarted"]


def test_a_kernel_that_vanished_ends_the_session_as_failed():
    life = running()
    assert life.lose(0) == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.reason, life.last.result, life.last.exit_code) == (
        "kernel-lost",
        "failure",
        None,
    )
    assert life.lose(0) == []


def test_what_vanished_before_it_ran_is_an_error():
    life = Life(enqueued())
    life.place()
    assert life.lose(0, reason="agent-lost") == ["KernelTerminated", "SessionFailed"]


def test_what_vanished_while_it_was_stopped_has_been_stopped():
    life = running()
    life.terminate()
    life.lose(0)
    assert (life.last.reason, life.last.result) == ("user-requested", "undefined")


def test_a_pending_session_has_nothing_to_lose():
    assert Life(enqueued()).lose(0) == []
