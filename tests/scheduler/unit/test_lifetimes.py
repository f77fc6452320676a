"""What a lifetime counts from, at the agenda: creation or start, before and after a change."""

from datetime import timedelta

from services.scheduler.agenda import Agenda
from services.scheduler.domain.deadlines import Lifetime
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import evolve
from shared.contracts.scheduler import (
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionStarted,
)
from tests.scheduler.unit.sessions import START, enqueued

SCOPE = keypair_scope("AK")


def at(seconds):
    return START + timedelta(seconds=seconds)


def waiting(**more):
    """Return an agenda with one session that waits since the start."""
    session = evolve(None, enqueued("s1", kernels=0, access_key="AK", **more))
    sessions = {"s1": session}
    agenda = Agenda(sessions)
    agenda.entered(session, START)
    return agenda, sessions


def test_a_changed_lifetime_counts_at_once_for_what_waits():
    agenda, _ = waiting()
    agenda.set_lifetime(SCOPE, Lifetime(10, "started"))
    assert agenda.next_at is None
    agenda.set_lifetime(SCOPE, Lifetime(10, "created"))
    assert agenda.next_at == at(10)
    due = agenda.take(at(10))
    assert (due.session.session_id, due.reason) == ("s1", "idle-session-lifetime")


def test_before_a_session_may_start_its_lifetime_does_not_count():
    agenda, _ = waiting(starts_at=at(60))
    agenda.set_lifetime(SCOPE, Lifetime(10, "created"))
    assert agenda.take(at(59)) is None
    assert agenda.take(at(60)).is_start
    assert agenda.take(at(69)) is None
    assert agenda.take(at(70)).reason == "idle-session-lifetime"


def test_a_restart_gives_no_new_lifetime():
    agenda, sessions = waiting()
    agenda.set_lifetime(SCOPE, Lifetime(100, "started"))
    steps = (
        SessionScheduled(session_id="s1", placements=(), attempt=1),
        SessionStarted(session_id="s1"),
        SessionRestarting(session_id="s1", kernels=(), grace_s=3),
        SessionRestarted(session_id="s1", kernels=(), placements=(), attempt=2),
        SessionStarted(session_id="s1"),
    )
    for second, event in enumerate(steps, start=1):
        sessions["s1"] = evolve(sessions["s1"], event)
        agenda.entered(sessions["s1"], at(second))
    assert agenda.lifetime_of("s1") == (at(102), 100)
