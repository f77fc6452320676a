"""What the log tells of a period of a group, and what is kept of how its agents were."""

from datetime import timedelta
from math import inf

import pytest

from services.scheduler.agents_past import AgentsPast
from services.scheduler.forecast.fleet import AgentChange
from services.scheduler.forecast.recording import Recorder, TooManySessionsError
from services.scheduler.placement.model import KernelPlace
from shared.contracts.scheduler import (
    KernelPlacement,
    ResourceGroupChanged,
    ResourceGroupCreated,
    SessionCancelled,
    SessionScheduled,
    SessionTerminated,
)
from tests.scheduler.unit.recordings import GROUP, agent
from tests.scheduler.unit.sessions import START, enqueued

LENGTH_S = 100.0


def at(seconds):
    return START + timedelta(seconds=seconds)


def scheduled(name):
    place = KernelPlacement(kernel_id=f"{name}.0", agent_id="a1")
    return SessionScheduled(session_id=name, placements=(place,), attempt=1)


def ended(name, result="success"):
    return SessionTerminated(session_id=name, reason="task-finished", result=result, exit_code=0)


def gone(name, reason="user-requested"):
    return SessionCancelled(session_id=name, reason=reason)


def recorded(*events, limit=100, read_until=500):
    recorder = Recorder(GROUP, START, at(LENGTH_S), limit)
    for seconds, event in events:
        recorder.apply(event, at(seconds))
    found = recorder.finish(at(read_until))
    return found, {job.session.session_id: job for job in found.jobs}


def test_a_session_is_kept_with_when_it_came_started_and_ended():
    found, jobs = recorded(
        (-20, enqueued("over")),
        (-19, scheduled("over")),
        (-10, enqueued("held")),
        (-5, scheduled("held")),
        (-1, ended("over")),
        (10, enqueued("short", user_id="u2", access_key="k2")),
        (30, scheduled("short")),
        (40, ended("short")),
        (50, ended("held")),
        (60, enqueued("open")),
        (61, scheduled("open")),
        (99, enqueued("late")),
        (150, scheduled("late")),
        (160, ended("late")),
        (100, enqueued("too-late")),
        (20, enqueued("elsewhere", resource_group="other")),
    )
    assert list(jobs) == ["held", "short", "open", "late"]
    short = jobs["short"]
    assert (short.ready_s, short.started_s, short.run_s, short.ends_s) == (10, 30, 10, 40)
    assert (short.session.user, short.session.scopes[0]) == ("u2", "keypair:k2")
    assert jobs["held"].places == (KernelPlace("held.0", "a1", {}),)
    assert (jobs["held"].started_s, jobs["held"].run_s) == (-5, 55)
    assert (jobs["open"].is_open, jobs["open"].ends_s, jobs["open"].run_s) == (True, inf, 439)
    assert jobs["late"].started_s == 150
    turns = [job.session.turn for job in found.jobs]
    assert turns == sorted(turns)
    assert found.guessed == 0


def test_who_never_started_is_given_the_usual_run_time_of_its_user():
    runs = [(f"r{seconds}", seconds, "u1") for seconds in (10, 20, 90)] + [("other", 2, "u2")]
    events = []
    for name, seconds, user in runs:
        events += [(0, enqueued(name, user_id=user)), (1, scheduled(name))]
        events += [(1 + seconds, ended(name))]
    events.sort(key=lambda one: one[0])
    more = [
        (92, enqueued("gave-up")),
        (93, enqueued("waits", user_id="u2")),
        (94, enqueued("stranger", user_id="u3")),
        (95, gone("gave-up")),
    ]
    found, jobs = recorded(*events, *more)
    assert [jobs[name].run_s for name in ("gave-up", "waits", "stranger")] == [20, 2, 15]
    assert (jobs["gave-up"].leaves_s, jobs["waits"].leaves_s) == (95, inf)
    assert found.guessed == 3
    _, alone = recorded((1, enqueued("alone")))
    assert (alone["alone"].is_open, alone["alone"].run_s) == (True, 0.0)


def test_the_wait_begins_when_the_time_has_come_and_what_is_depended_on_has_ended():
    found, jobs = recorded(
        (-9, enqueued("long-ago")),
        (-8, scheduled("long-ago")),
        (-7, ended("long-ago")),
        (-6, enqueued("far", resource_group="other")),
        (0, enqueued("first")),
        (1, enqueued("later", starts_at=at(20))),
        (2, enqueued("both", depends_on=("long-ago", "far", "first"))),
        (3, enqueued("never", depends_on=("first",))),
        (4, enqueued("failed", depends_on=("far",))),
        (5, scheduled("first")),
        (6, enqueued("pending", depends_on=("both",))),
        (30, ended("first")),
        (40, ended("far")),
        (40, gone("failed", reason="dependency-failed")),
        (41, gone("never")),
    )
    assert "failed" not in jobs
    assert jobs["later"].ready_s == 20
    both = jobs["both"]
    assert (both.ready_s, both.was_ready_s, both.after) == (40, 40, ("first",))
    assert (jobs["never"].was_ready_s, jobs["never"].after) == (30, ("first",))
    assert (jobs["pending"].was_ready_s, jobs["pending"].after) == (inf, ("both",))
    assert found.length_s == LENGTH_S


def test_the_group_is_as_it_was_and_changes_when_it_did():
    found, _ = recorded(
        (-50, ResourceGroupCreated(name=GROUP, scheduler="lifo")),
        (-40, ResourceGroupCreated(name="other")),
        (-30, ResourceGroupChanged(name=GROUP, scheduler="drf")),
        (20, ResourceGroupChanged(name=GROUP, agent_selection_strategy="concentrated")),
        (30, ResourceGroupChanged(name="other", scheduler="lifo")),
        (200, ResourceGroupChanged(name=GROUP, scheduler="fifo")),
    )
    assert [
        (moment, group.scheduler, group.agent_selection_strategy) for moment, group in found.groups
    ] == [(0.0, "drf", "dispersed"), (20.0, "drf", "concentrated")]


def test_more_sessions_than_may_be_are_not_taken_and_reading_ends_when_all_have_ended():
    with pytest.raises(TooManySessionsError):
        recorded(*((number, enqueued(f"s{number}")) for number in range(4)), limit=3)
    recorder = Recorder(GROUP, START, at(LENGTH_S), 10)
    recorder.apply(enqueued("s1"), at(1))
    assert not recorder.is_complete(at(200))
    recorder.apply(gone("s1"), at(50))
    assert not recorder.is_complete(at(99))
    assert recorder.is_complete(at(100))


def test_agents_are_told_as_they_were_at_the_beginning_and_what_changed_until_the_end():
    past = AgentsPast()
    past.changed(agent("a1", cpus=1), at(-20))
    past.changed(agent("a2")._replace(group="other"), at(-15))
    past.changed(agent("a1", cpus=2), at(-10))
    past.changed(agent("a3", alive=False), at(0))
    past.changed(agent("a1", cpus=4), at(50))
    past.changed(agent("a4"), at(60))
    past.changed(agent("a5"), at(100))
    found, known_since = past.between(GROUP, START, at(100))
    assert known_since is None
    assert found == (
        AgentChange(0.0, agent("a1", cpus=2)),
        AgentChange(0.0, agent("a3", alive=False)),
        AgentChange(50.0, agent("a1", cpus=4)),
        AgentChange(60.0, agent("a4")),
    )


def test_of_very_many_changes_the_oldest_are_given_up_and_that_is_said():
    past = AgentsPast(kept_max=2)
    past.changed(agent("gone", gone=True), at(1))
    past.changed(agent("a1", cpus=1), at(2))
    past.changed(agent("a1", cpus=2), at(3))
    past.changed(agent("a1", cpus=3), at(4))
    found, known_since = past.between(GROUP, START, at(100))
    assert known_since == at(2)
    assert [(one.at_s, one.agent.capacity["cpu"]) for one in found] == [
        (0.0, 1000),
        (3.0, 2000),
        (4.0, 3000),
    ]
