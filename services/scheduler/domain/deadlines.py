"""How long a session may stay what it is, and what becomes of one that has stayed too long.

Every state but the last has an end: nothing is stuck for ever because somebody does not answer.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from services.scheduler.domain import session_rules
from services.scheduler.domain.session import Session
from services.scheduler.domain.session_rules import Events
from shared.contracts.kernels import EndReason
from shared.contracts.scheduler import SessionCancelled, SessionTerminating

HANG_TIMEOUT_S: Final = 1800.0
STOPPING_MAX_S: Final = 600.0
_FAR: Final = timedelta(days=36_500)


def is_limited(session: Session) -> bool:
    """Tell whether the lifetime of a policy counts for a session: services live on."""
    return session.request.session_type != "inference"


def due_at(session: Session, since: datetime, patience_s: float | None) -> datetime | None:
    """Return when a session that is what it is `since` then is overdue; None is never.

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
        case "RUNNING":
            return _after(since, patience_s) if is_limited(session) else None
        case "TERMINATING":
            grace_s = session.ending.grace_s if session.ending else 0
            return _after(since, grace_s + STOPPING_MAX_S)
        case "RESTARTING":
            grace_s = session.restarting.grace_s if session.restarting else 0
            return _after(since, grace_s + STOPPING_MAX_S)
        case _:
            return None


def overdue(
    session: Session,
    at: datetime,
    is_reachable: Callable[[str], bool],
    reason: EndReason | None = None,
) -> Events:
    """Return what becomes of a session that has stayed what it is for too long.

    One that waits is cancelled and one that runs is stopped, gently, for the reason given. One that
    does not come up is stopped at once, and what is on agents that can't be asked is given up; one
    that does not end, be it to start anew, is given up altogether, so that its resources are free
    for others.
    """
    session_id = session.session_id
    match session.status:
        case "PENDING":
            return (SessionCancelled(session_id=session_id, reason="pending-timeout"),)
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
