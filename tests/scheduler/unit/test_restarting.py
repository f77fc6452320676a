"""The restart of a session, in sentences."""

from datetime import timedelta

import pytest

from services.scheduler.books import Books
from services.scheduler.domain import deadlines, resource_group
from services.scheduler.domain.idleness import IdleRules
from services.scheduler.domain.scopes import Ceiling, keypair_scope
from services.scheduler.placement.model import Agent
from shared.contracts.scheduler import KernelPlacement, SessionScheduled
from shared.kernel.rejections import Rejection
from tests.scheduler.unit.sessions import START, Life, enqueued, running

DEVICES = {"cuda.device": {"GPU-0": 1000}}


def restarting(**more):
    life = running(**more)
    assert life.restart(grace_s=7) == ["SessionRestarting"]
    return life


def test_a_session_is_restarted_at_its_places_by_new_kernels_once_the_former_are_gone():
    life = Life(enqueued(kernels=2))
    places = tuple(
        KernelPlacement(
            kernel_id=kernel.kernel_id, agent_id="a1", incarnation="i1", devices=DEVICES
        )
        for kernel in life.state.kernels
    )
    life.take([SessionScheduled(session_id="s1", placements=places, attempt=1)])
    for kernel in range(2):
        life.report("running", kernel)
    assert life.restart(grace_s=7) == ["SessionRestarting"]
    assert (life.state.status, life.last.grace_s) == ("RESTARTING", 7)
    assert life.report("terminated", 0, exit_code=143, reason="user-requested") == [
        "KernelTerminated"
    ]
    assert life.state.status == "RESTARTING"
    assert life.report("terminated", 1, exit_code=143, reason="user-requested") == [
        "KernelTerminated",
        "SessionRestarted",
    ]
    assert (life.state.status, life.state.attempt) == ("SCHEDULED", 2)
    assert [(one.hostname, one.kernel_id) for one in life.state.kernels] == [
        ("main1", "s1.0'"),
        ("sub1", "s1.1'"),
    ]
    assert [one.place.devices for one in life.state.kernels] == [DEVICES, DEVICES]
    assert life.report("running", "s1.0'", attempt=2) == ["SessionPreparing", "KernelStarted"]
    assert life.report("running", "s1.1'", attempt=2) == ["KernelStarted", "SessionStarted"]
    assert life.restart() == ["SessionRestarting"]
    life.report("terminated", "s1.0'", attempt=2, exit_code=0)
    life.report("terminated", "s1.1'", attempt=2, exit_code=0)
    assert (life.state.main.kernel_id, life.state.attempt) == ("s1.0''", 3)


def test_what_is_told_late_of_the_former_kernels_is_of_no_consequence():
    life = restarting()
    life.report("terminated", exit_code=143)
    for phase in ("preparing", "running", "terminated", "failed"):
        for attempt in (1, 2):
            assert life.report(phase, attempt=attempt, exit_code=1) == []
    assert life.state.status == "SCHEDULED"


def test_how_the_former_kernels_ended_does_not_matter():
    for end in ({"exit_code": 0}, {"exit_code": 3}, {"exit_code": 137, "reason": "out-of-memory"}):
        assert restarting().report("terminated", **end) == ["KernelTerminated", "SessionRestarted"]
    assert restarting().lose(0) == ["KernelTerminated", "SessionRestarted"]


def test_only_a_running_session_can_be_restarted():
    waiting, placed, over, ending = Life(enqueued()), Life(enqueued()), running(), running()
    placed.place()
    over.report("terminated", exit_code=0)
    ending.terminate()
    for life in (waiting, placed, over, ending, restarting()):
        refusal = life.restart()
        assert isinstance(refusal, Rejection)
        assert (refusal.kind, refusal.code) == ("conflict", "not_running")
        assert refusal.details == {"status": life.state.status}


def test_a_session_with_a_kernel_that_has_given_up_its_place_is_not_restarted():
    life = running(kernels=2)
    life.report("terminated", 1, exit_code=0)
    assert life.state.status == "RUNNING"
    refusal = life.restart()
    assert (refusal.code, refusal.details) == ("partly_ended", {"kernel": "sub1"})


def test_a_session_whose_agent_cannot_be_asked_is_not_restarted():
    refusal = running().restart(reachable=False)
    assert (refusal.code, refusal.details) == ("agent_away", {"agent": "a1"})


@pytest.mark.parametrize("grace_s", [-1, 3601])
def test_an_absurd_grace_period_is_refused(grace_s):
    assert running().restart(grace_s=grace_s).errors[0].field == "grace_s"


def test_a_session_that_is_terminated_while_it_restarts_ends():
    life = restarting(kernels=2)
    life.report("terminated", 0, exit_code=143)
    assert life.terminate() == ["SessionTerminating"]
    assert life.state.restarting is None
    assert life.report("terminated", 1, exit_code=143) == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.reason, life.last.result) == ("user-requested", "undefined")


def test_force_ends_a_restart_where_nobody_answers():
    life = restarting()
    assert life.terminate(forced=True, reachable=False) == [
        "SessionTerminating",
        "KernelTerminated",
        "SessionTerminated",
    ]


def test_an_agent_that_lost_its_memory_meanwhile_ends_the_session_and_says_so():
    life = restarting(kernels=2)
    life.report("terminated", 0, exit_code=0)
    assert life.lose(1, reason="agent-lost") == ["KernelTerminated", "SessionTerminated"]
    assert (life.last.reason, life.last.result) == ("agent-lost", "failure")


def test_what_does_not_end_in_time_is_given_up_and_not_started_twice():
    life = restarting()
    due = deadlines.due_at(life.state, START, None)
    assert due == START + timedelta(seconds=7 + deadlines.STOPPING_MAX_S)
    assert life.take(deadlines.overdue(life.state, due, lambda _: True)) == [
        "KernelTerminated",
        "SessionTerminated",
    ]
    assert (life.last.reason, life.last.result) == ("hang-timeout", "failure")


def test_a_session_that_cannot_be_started_again_is_in_error():
    life = restarting()
    life.report("terminated", exit_code=143)
    assert life.report("failed", "s1.0'", attempt=2, detail="no such program") == [
        "KernelTerminated",
        "SessionFailed",
    ]
    assert (life.state.status, life.last.detail) == ("ERROR", "no such program")


def books_of(life):
    books = Books([Agent("a1", "default", "x86_64", {"cpu": 4000}, incarnation="i1")])
    for event in resource_group.seed(None):
        books.apply(event)
    for second, event in enumerate(life.events):
        books.apply(event, at=START + timedelta(seconds=second))
    return books


def test_a_restart_is_neither_an_end_nor_a_new_place_for_estimates():
    life = running()
    before = books_of(life)
    life.restart()
    life.report("terminated", exit_code=143)
    life.report("running", "s1.0'", attempt=2)
    after = books_of(life)
    now = START + timedelta(seconds=100)

    def elapsed(books):
        running = books.past.running("default", books.sessions, books.cluster.holdings, now, 10)
        ((one),) = running
        return one.elapsed_s, len(one.holdings)

    assert elapsed(before) == elapsed(after) == (99, 1)


def test_a_place_is_free_again_when_a_restart_is_broken_off():
    life = restarting(kernels=2)
    life.report("terminated", 1, exit_code=0)
    assert len(books_of(life).cluster.holdings) == 2
    life.terminate()
    assert len(books_of(life).cluster.holdings) == 1
    life.report("terminated", 0, exit_code=143)
    assert books_of(life).cluster.holdings == {}


def test_who_restarts_a_session_uses_it():
    life = running(session_type="interactive")
    life.restart()
    life.report("terminated", exit_code=143)
    life.report("running", "s1.0'", attempt=2)
    agenda = books_of(life).agenda
    agenda.set_idle_rules(IdleRules(network_timeout_s=8))
    runs_since = len(life.events) - 1
    assert agenda.take(START + timedelta(seconds=runs_since + 7)) is None
    due = agenda.take(START + timedelta(seconds=runs_since + 8))
    assert due.reason == "idle-timeout"


def test_whoever_leads_counts_a_life_from_when_the_session_ran_first():
    life = running(access_key="AK")
    first_ran = len(life.events) - 1
    life.restart()
    life.report("terminated", exit_code=143)
    life.report("running", "s1.0'", attempt=2)
    books = books_of(life)
    books.set_limits(keypair_scope("AK"), Ceiling({}, lifetime_s=20))
    assert books.agenda.take(START + timedelta(seconds=first_ran + 19)) is None
    due = books.agenda.take(START + timedelta(seconds=first_ran + 20))
    assert due.reason == "idle-session-lifetime"
