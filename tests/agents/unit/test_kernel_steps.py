"""What a node does next with a kernel, and what it tells of its end."""

from datetime import UTC, datetime

import msgspec
import pytest

from services.agents.node.domain.evidence import judge
from services.agents.node.domain.kernel import (
    LAUNCHES_MAX,
    Record,
    Undecided,
    Unnamed,
    is_news,
    judge_end,
    next_step,
    wanted_stop,
)
from services.agents.node.runtime import Exit
from shared.contracts.kernels import KernelSpec

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = KernelSpec(
    session_id="s",
    kernel_id="k",
    attempt=1,
    epoch=1,
    goal="running",
    session_type="batch",
    session_name="work",
    image="local/host:latest",
    hostname="main1",
    command=("true",),
    environ=None,
    resources={"cpu": 1000, "mem": 2**30},
)
STOP = msgspec.structs.replace(RUN, goal="stopped")
FORCED = msgspec.structs.replace(STOP, forced=True)
AGAIN = msgspec.structs.replace(RUN, attempt=2)


def record(**fields: object) -> Record:
    return msgspec.structs.replace(Record(spec=RUN, phase="preparing", user_index=0), **fields)


@pytest.mark.parametrize(
    ("wish", "step"), [(RUN, "take"), (STOP, "decline"), (Unnamed(), "forget")]
)
def test_a_kernel_that_is_new_here(wish, step):
    assert next_step(None, wish, "absent", settled=True) == step


def test_nothing_starts_and_nothing_stops_before_it_is_known_what_is_desired():
    for presence in ("absent", "starting"):
        assert next_step(record(), Undecided(), presence, settled=False) == "wait"
    running = record(phase="running")
    assert next_step(running, Undecided(), "running", settled=False) == "wait"


@pytest.mark.parametrize(
    ("held", "wish", "presence", "step"),
    [
        (record(), RUN, "absent", "launch"),
        (record(launch=LAUNCHES_MAX), RUN, "absent", "launch"),
        (record(), STOP, "absent", "forbid"),
        (record(), Unnamed(), "absent", "wait"),
        (record(), AGAIN, "absent", "forbid"),
        (record(), STOP, "starting", "wait"),
        (record(), RUN, "running", "confirm_running"),
        (record(), STOP, "running", "confirm_running"),
        (record(phase="running"), RUN, "running", "wait"),
        (record(phase="running"), STOP, "running", "stop"),
        (record(phase="running"), FORCED, "running", "stop"),
        (record(phase="running"), Unnamed(), "running", "wait"),
        (record(phase="running"), AGAIN, "running", "stop"),
        (record(phase="running", stop="asked"), Undecided(), "running", "stop"),
        (record(phase="running"), RUN, "lost", "finish"),
        (record(phase="running"), RUN, "ended", "finish"),
        (record(), RUN, "ended", "finish"),
    ],
)
def test_a_kernel_that_was_taken_up(held, wish, presence, step):
    assert next_step(held, wish, presence, settled=False) == step


def test_the_start_of_a_run_that_nobody_watched_is_told_before_its_end():
    assert next_step(record(), RUN, "ended", began=True) == "confirm_running"
    assert next_step(record(), RUN, "lost", began=True) == "confirm_running"
    assert next_step(record(phase="running"), RUN, "ended", began=True) == "finish"
    assert next_step(record(), RUN, "ended", began=False) == "finish"


def test_a_kernel_that_does_not_begin_in_several_launches_of_one_daemon_is_given_up():
    for launched in range(LAUNCHES_MAX):
        step = next_step(record(), RUN, "absent", settled=False, launched=launched)
        assert step == "launch"
    last = next_step(record(), RUN, "absent", settled=False, launched=LAUNCHES_MAX)
    assert last == "give_up"


def test_a_kernel_whose_traces_are_gone_is_never_launched_again():
    assert next_step(record(phase="running"), RUN, "absent", settled=False) == "finish"


def test_an_ended_kernel_is_kept_until_its_end_has_been_heard():
    ended = record(phase="terminated")
    assert next_step(ended, RUN, "absent", settled=False) == "wait"
    assert next_step(ended, Unnamed(), "absent", settled=False) == "wait"
    assert next_step(ended, Unnamed(), "absent", settled=True) == "forget"


def test_a_new_attempt_of_an_ended_kernel_is_taken_up_and_an_old_one_is_not():
    assert next_step(record(phase="failed"), AGAIN, "absent", settled=False) == "take"
    second = record(spec=AGAIN, phase="terminated")
    assert next_step(second, RUN, "absent", settled=True) == "wait"


def test_an_older_attempt_that_is_still_wanted_does_not_stop_a_newer_one():
    second = record(spec=AGAIN, phase="running")
    assert wanted_stop(second, STOP) is None
    assert next_step(second, STOP, "running", settled=True) == "wait"


def test_a_stale_leaders_wish_is_no_news():
    newer = msgspec.structs.replace(STOP, epoch=2)
    assert is_news(RUN, newer)
    assert not is_news(newer, RUN)
    assert not is_news(AGAIN, newer)
    assert is_news(newer, Unnamed())


@pytest.mark.parametrize(
    ("held", "end", "phase", "reason", "code"),
    [
        (record(), Exit(code=0, at=NOON), "terminated", "task-finished", 0),
        (record(), Exit(code=3, at=NOON), "terminated", "task-failed", 3),
        (record(), Exit(code=137, at=NOON, oom_kills=1), "terminated", "out-of-memory", 137),
        (record(), Exit(code=0, at=NOON, oom_kills=1), "terminated", "task-finished", 0),
        (record(), Exit(code=None, at=NOON, error="no"), "failed", "failed-to-start", None),
        (record(), None, "terminated", "kernel-lost", None),
        (record(stop="asked"), Exit(code=None, at=NOON), "terminated", "user-requested", None),
        (record(stop="asked"), Exit(code=143, at=NOON), "terminated", "user-requested", 143),
        (record(stop="forced"), Exit(code=137, at=NOON), "terminated", "force-terminated", 137),
        (record(stop="superseded"), Exit(code=143, at=NOON), "terminated", "force-terminated", 143),
    ],
)
def test_how_an_end_is_told(held, end, phase, reason, code):
    told = judge_end(held, end)
    assert (told.phase, told.reason, told.exit_code) == (phase, reason, code)


def test_an_interactive_session_that_ends_by_itself_has_terminated_itself():
    spec = msgspec.structs.replace(RUN, session_type="interactive")
    assert judge_end(record(spec=spec), Exit(code=0, at=NOON)).reason == "self-terminated"


def test_a_loss_of_output_is_told():
    told = judge_end(record(), Exit(code=0, at=NOON, notes=("9 bytes of output are not kept",)))
    assert told.detail == "9 bytes of output are not kept"


@pytest.mark.parametrize(
    ("keeper", "spawned", "started", "ended", "presence"),
    [
        (False, False, False, False, "absent"),
        (False, True, False, False, "starting"),
        (True, False, False, False, "starting"),
        (True, False, True, False, "running"),
        (True, False, True, True, "ended"),
        (False, False, True, True, "ended"),
        (False, False, True, False, "lost"),
    ],
)
def test_what_traces_mean(keeper, spawned, started, ended, presence):
    found = judge(keeper=keeper, spawned=spawned, started=started, ended=ended)
    assert found == presence
