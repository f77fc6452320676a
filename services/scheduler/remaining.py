"""Answers what may end a session by itself, and how far off that is."""

import math
from datetime import datetime

import msgspec

from services.scheduler.books import Books
from shared.contracts.scheduler import CheckDetail, SessionCheck, SessionChecks


def checks_of(books: Books, session_id: str, now: datetime) -> SessionChecks:
    """Return the checks that are in force for a session; none for one that does not run."""
    session = books.sessions.get(session_id)
    agenda = books.agenda
    started_at = agenda.running_since(session_id)
    if session is None or started_at is None:
        return SessionChecks(checks=())
    checks = list(agenda.idle.checks(session, started_at, now))
    lifetime = agenda.lifetime_of(session_id)
    if lifetime is not None:
        ends_at, limit_s = lifetime
        detail = CheckDetail(limit_s=limit_s)
        checks.insert(0, SessionCheck(check="session_lifetime", ends_at=ends_at, detail=detail))
    return SessionChecks(checks=tuple(_with_remaining(check, now) for check in checks))


def _with_remaining(check: SessionCheck, now: datetime) -> SessionCheck:
    if check.ends_at is None:
        return check
    remaining_s = max(math.ceil((check.ends_at - now).total_seconds()), 0)
    return msgspec.structs.replace(check, remaining_s=remaining_s)
