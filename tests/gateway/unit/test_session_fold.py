from datetime import UTC, datetime, timedelta

import msgspec

from services.gateway.documents.sessions import SessionDocument
from services.gateway.projections.session_fold import advance, enqueued
from shared.contracts.scheduler import (
    KernelPlacement,
    KernelRequest,
    KernelStarted,
    KernelTerminated,
    SessionCancelled,
    SessionEnqueued,
    SessionPreparing,
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionStarted,
    SessionTerminated,
    SessionTerminating,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ENQUEUED = SessionEnqueued(
    session_id="s1",
    name="train",
    session_type="batch",
    user_id="u1",
    access_key="AK",
    domain="default",
    project_id="p1",
    resource_group="default",
    image="local/host:latest",
    architecture="x86_64",
    command=("true",),
    environ="1.sealed",
    priority=10,
    cluster_mode="single-node",
    kernels=(
        KernelRequest(kernel_id="k1", hostname="main1", requested={"cpu": 1500, "mem": 1024}),
        KernelRequest(kernel_id="k2", hostname="sub1", requested={"cpu": 1500, "mem": 1024}),
    ),
)


def placement(kernel_id):
    return KernelPlacement(
        kernel_id=kernel_id, agent_id="a1", incarnation="i1", devices={"cuda.shares": {"0": 250}}
    )


def fold(*events):
    session = enqueued(ENQUEUED, START)
    for number, event in enumerate(events, start=1):
        advance(session, event, START + timedelta(seconds=number))
    return session


def run(kernel_id):
    return KernelStarted(
        session_id="s1", kernel_id=kernel_id, attempt=1, agent_id="a1", started_at=START
    )


def end(kernel_id, code):
    return KernelTerminated(
        session_id="s1",
        kernel_id=kernel_id,
        attempt=1,
        agent_id="a1",
        exit_code=code,
        reason="task-failed" if code else "task-finished",
        ended_at=START,
    )


def test_a_new_session_waits_and_shows_what_it_asks_for():
    session = fold()
    assert session.status == "PENDING"
    assert session.resources == {"cpu": "1.5", "mem": "1024"}
    assert session.requested == {"cpu": "3", "mem": "2048"}
    assert session.cluster_size == 2
    assert "environ" not in msgspec.to_builtins(session)
    assert "sealed" not in msgspec.json.encode(session).decode()


def test_a_whole_life_is_told_in_order():
    session = fold(
        SessionScheduled(session_id="s1", placements=(placement("k1"), placement("k2")), attempt=1),
        SessionPreparing(session_id="s1"),
        run("k1"),
        run("k2"),
        SessionStarted(session_id="s1"),
        SessionTerminating(session_id="s1", reason="task-failed"),
        end("k1", 3),
        end("k2", 0),
        SessionTerminated(session_id="s1", reason="task-failed", result="failure", exit_code=3),
    )
    assert list(session.status_history) == [
        "PENDING",
        "SCHEDULED",
        "PREPARING",
        "RUNNING",
        "TERMINATING",
        "TERMINATED",
    ]
    assert (session.result, session.exit_code, session.status_info) == ("failure", 3, "task-failed")
    assert session.agents == ["a1"]
    assert [kernel.exit_code for kernel in session.kernels] == [3, 0]
    assert session.kernels[0].devices == {"cuda.shares": {"0": "0.25"}}
    assert session.times.terminated_at == START + timedelta(seconds=9)
    assert session.modified_at == START + timedelta(seconds=9)


LATTER = tuple(
    msgspec.structs.replace(kernel, kernel_id=f"{kernel.kernel_id}-2")
    for kernel in ENQUEUED.kernels
)
RUNNING = (
    SessionScheduled(session_id="s1", placements=(placement("k1"), placement("k2")), attempt=1),
    SessionPreparing(session_id="s1"),
    run("k1"),
    run("k2"),
    SessionStarted(session_id="s1"),
    SessionRestarting(session_id="s1", kernels=LATTER),
)


def test_a_restart_ends_the_kernels_and_shows_those_that_follow_at_their_places():
    session = fold(*RUNNING, end("k1", 143))
    assert session.status == "RESTARTING"
    assert [(one.status, one.exit_code) for one in session.kernels] == [
        ("RESTARTING", 143),
        ("RESTARTING", None),
    ]
    restarted = SessionRestarted(
        session_id="s1",
        kernels=LATTER,
        placements=(placement("k1-2"), placement("k2-2")),
        attempt=2,
    )
    session = fold(*RUNNING, end("k1", 143), end("k2", 0), restarted)
    assert (session.status, session.attempt) == ("SCHEDULED", 2)
    assert [(one.id, one.hostname, one.exit_code) for one in session.kernels] == [
        ("k1-2", "main1", None),
        ("k2-2", "sub1", None),
    ]
    assert session.kernels[0].devices == {"cuda.shares": {"0": "0.25"}}
    after = fold(
        *RUNNING,
        end("k1", 143),
        end("k2", 0),
        restarted,
        SessionPreparing(session_id="s1"),
        SessionStarted(session_id="s1"),
    )
    assert after.status == "RUNNING"
    assert after.times.started_at == START + timedelta(seconds=5)
    assert list(after.status_history) == [
        "PENDING",
        "RESTARTING",
        "SCHEDULED",
        "PREPARING",
        "RUNNING",
    ]


def test_a_restart_that_is_broken_off_gives_up_the_places_of_kernels_that_are_gone():
    session = fold(
        *RUNNING,
        end("k2", 0),
        SessionTerminating(session_id="s1", reason="user-requested"),
    )
    assert [kernel.status for kernel in session.kernels] == ["TERMINATING", "TERMINATED"]


def test_a_cancelled_session_never_ran():
    session = fold(SessionCancelled(session_id="s1", reason="user-requested"))
    assert session.status == "CANCELLED"
    assert {kernel.status for kernel in session.kernels} == {"CANCELLED"}
    assert session.times.started_at is None


def test_a_document_survives_its_way_through_json():
    session = fold(
        SessionScheduled(session_id="s1", placements=(placement("k1"), placement("k2")), attempt=1)
    )
    text = msgspec.json.encode(session)
    assert msgspec.json.decode(text, type=SessionDocument) == session
    assert b'"created_at":"2026-01-01T00:00:00Z"' in text
