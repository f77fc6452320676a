"""How long a session may stay what it is, and what becomes of one that has stayed too long.

Every state but the last has an end: nothing is stuck for ever because somebody does not answer.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.scheduler.domain import session_rules
from services.scheduler.domain.session import Session
from services.scheduler.domain.session_rules import Events
from shared.contracts.kernels import EndReason
from shared.contracts.policies import LifetimeBase
from shared.contracts.scheduler import SessionCancelled, SessionTerminating

HANG_TIMEOUT_S: Final = 1800.0
STOPPING_MAX_S: Final = 600.0
_FAR: Final = timedelta(days=36_500)


class Lifetime(NamedTuple):
    """How long sessions may live, None and 0 for ever, and what that counts from."""

    seconds: int | None = None
    base: LifetimeBase = "started"


def is_limited(session: Session) -> bool:
    """Tell whether the lifetime of a policy counts for a session: services live on."""
    return session.request.session_type != "inference"


def due_at(session: Session, since: datetime, patience_s: float | None) -> datetime | None:
    """Return when a session that is what it is `since` then is overdue; None is never.

    While it runs only its lifetime counts, or what it is used for.

    `patience_s` is how long it may be what it is; None and 0 are for ever. How long it may take to
    end is not for others to say.
    """
    match session.status:
        case "PENDING":
            starts_at = session.request.starts_at
            begin = since if starts_at is None else max(since, starts_at)
            return _after(begin, patience_s)
        case "SCHEDULED" | "PREPARING":
            return _after(since, patience_s)
        case "TERMINATING":
            grace_s = session.ending.grace_s if session.ending else 0
            return _after(since, grace_s + STOPPING_MAX_S)
        case "RESTARTING":
            grace_s = session.restarting.grace_s if session.restarting else 0
            return _after(since, grace_s + STOPPING_MAX_S)
        case _:
            return None


def lifetime_end(
    session: Session,
    lifetime: Lifetime,
    created_at: datetime | None,
    started_at: datetime | None,
) -> datetime | None:
    """Return when the lifetime of a session is over; None is never.

    Counted from the creation, or from the moment that it asked to start at if that is later, it
    goes on while the session waits; counted from the start, while it runs (`started_at`) only.
    """
    if not is_limited(session) or session.status not in {"PENDING", "RUNNING"}:
        return None
    begin = created_at if lifetime.base == "created" else started_at
    if begin is None:
        return None
    starts_at = session.request.starts_at
    if lifetime.base == "created" and starts_at is not None:
        begin = max(begin, starts_at)
    return _after(begin, lifetime.seconds)


def overdue(
    session: Session,
    at: datetime,
    is_reachable: Callable[[str], bool],
    reason: EndReason | None = None,
) -> Events:
    """Return what becomes of a session that has stayed what it is for too long.

    One that waits is cancelled and one that runs is stopped, gently, for the reason given (else for
    having waited, or lived, for too long). One that
    does not come up is stopped at once, and what is on agents that can't be asked is given up; one
    that does not end, be it to start anew, is given up altogether, so that its resources are free
    for others.
    """
    session_id = session.session_id
    match session.status:
        case "PENDING":
            return (SessionCancelled(session_id=session_id, reason=reason or "pending-timeout"),)
        case "RUNNING":
            why = reason or "idle-session-lifetime"
            return (SessionTerminating(session_id=session_id, reason=why),)
        case "SCHEDULED" | "PREPARING":
            stop = SessionTerminating(
                session_id=session_id, reason="hang-timeout", grace_s=0, forced=True
            )
            text = "It did not come up in time, and its agent could not be asked."
            return session_rules.stop(session, stop, _hung(session, is_reachable), at, text)
        case "TERMINATING" | "RESTARTING":
            text = "Its node did not confirm in time that it has ended."
            return session_rules.lose(session, _hung(session, lambda _: False), at, text)
        case _:
            return ()


def _hung(session: Session, is_reachable: Callable[[str], bool]) -> dict[str, EndReason]:
    """Return the kernels on agents that can't be asked."""
    return {
        kernel.kernel_id: "hang-timeout"
        for kernel in session.kernels
        if kernel.is_live and kernel.place and not is_reachable(kernel.place.agent_id)
    }


def _after(begin: datetime, seconds: float | None) -> datetime | None:
    if not seconds:
        return None
    wait = timedelta(seconds=seconds)
    return begin + wait if wait < _FAR else None
