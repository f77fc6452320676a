"""What may happen to a session: every function returns the events that follow, or a refusal.

Reports of nodes may come late, twice or out of order: what was seen of a kernel before counts,
and a report that tells nothing new changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from services.scheduler.domain import restarting
from services.scheduler.domain.grace import grace_problem
from services.scheduler.domain.session import Kernel, Session, SessionFact, evolve
from shared.contracts.kernels import EndReason, KernelReport
from shared.contracts.scheduler import (
    KernelPlacement,
    KernelStarted,
    KernelTerminated,
    SessionCancelled,
    SessionFailed,
    SessionPreparing,
    SessionResult,
    SessionScheduled,
    SessionStarted,
    SessionTerminated,
    SessionTerminating,
)
from shared.kernel.rejections import Rejection

_ASKED_FOR: Final[Collection[EndReason]] = (
    "user-requested",
    "force-terminated",
    "idle-session-lifetime",
    "idle-timeout",
    "idle-utilization",
)
_BY_ITSELF: Final[Collection[EndReason]] = ("task-finished", "self-terminated")
_NEVER_CAME_UP: Final[Collection[EndReason]] = (
    "failed-to-start",
    "image-not-available",
    "agent-lost",
    "kernel-lost",
    "hang-timeout",
)

Events = tuple[SessionFact, ...]


def place(state: Session, placements: tuple[KernelPlacement, ...]) -> Events:
    """Reserve agents for every kernel of a pending session."""
    if state.status != "PENDING":
        return ()
    return (
        SessionScheduled(
            session_id=state.session_id, placements=placements, attempt=state.attempt + 1
        ),
    )


def report(state: Session, seen: KernelReport, agent_id: str, incarnation: str) -> Events:
    """Take in what a node saw of a kernel; only of the one that it was given, and once."""
    kernel = state.kernel(seen.kernel_id)
    if state.is_over or kernel is None or not is_at(kernel, agent_id, incarnation):
        return ()
    if seen.attempt != state.attempt:
        return ()
    events: list[SessionFact] = []
    if state.status == "SCHEDULED" and seen.phase in ("preparing", "running"):
        events.append(SessionPreparing(session_id=state.session_id))
    if seen.phase == "running" and kernel.phase == "reserved":
        events.append(
            KernelStarted(
                session_id=state.session_id,
                kernel_id=seen.kernel_id,
                attempt=seen.attempt,
                agent_id=agent_id,
                started_at=seen.at,
            )
        )
    elif seen.phase in ("terminated", "failed"):
        events.append(_gone(state, kernel, _why(state, seen), seen.at, seen.exit_code, seen.detail))
    return _with_consequences(state, events)


def lose(
    state: Session, kernels: Mapping[str, EndReason], at: datetime, detail: str = ""
) -> Events:
    """Give up kernels that are known not to exist any more, though nobody saw their end."""
    events: list[SessionFact] = [
        _gone(state, kernel, _loss(state, kernels[kernel.kernel_id]), at, None, detail)
        for kernel in state.kernels
        if kernel.is_live and kernel.kernel_id in kernels
    ]
    return () if state.is_over else _with_consequences(state, events)


def stop(
    state: Session,
    wish: SessionTerminating,
    unheard: Mapping[str, EndReason],
    at: datetime,
    detail: str,
) -> Events:
    """End a session that has a place; kernels of `unheard`, which can't be asked, are given up."""
    events: list[SessionFact] = [wish]
    events.extend(
        _gone(state, kernel, unheard[kernel.kernel_id], at, None, detail)
        for kernel in state.kernels
        if kernel.is_live and kernel.kernel_id in unheard
    )
    return _with_consequences(state, events)


def terminate(
    state: Session,
    *,
    forced: bool,
    grace_s: int,
    at: datetime,
    is_reachable: Callable[[str], bool],
) -> Events | Rejection:
    """End a session because somebody asks for it.

    A pending one is cancelled. Else its nodes are told, and what it holds stays reserved until
    they say that its kernels are gone; forced, those on agents that can't be asked are given up.
    """
    if (problem := grace_problem(grace_s)) is not None:
        return problem
    if state.is_over:
        return ()
    reason: EndReason = "force-terminated" if forced else "user-requested"
    if state.status == "PENDING":
        return (SessionCancelled(session_id=state.session_id, reason=reason),)
    events: list[SessionFact] = []
    if state.ending is None or (forced and not state.ending.forced):
        events.append(
            SessionTerminating(
                session_id=state.session_id,
                reason=reason,
                grace_s=0 if forced else grace_s,
                forced=forced,
            )
        )
    if forced:
        events.extend(
            _gone(state, kernel, reason, at, None, "Its agent could not be asked.")
            for kernel in state.kernels
            if kernel.is_live and kernel.place and not is_reachable(kernel.place.agent_id)
        )
    return _with_consequences(state, events)


def is_at(kernel: Kernel, agent_id: str, incarnation: str) -> bool:
    """Tell whether a live kernel has its place in this incarnation of an agent."""
    return (
        kernel.is_live
        and kernel.place is not None
        and kernel.place.agent_id == agent_id
        and kernel.place.incarnation in ("", incarnation)
    )


def _why(state: Session, seen: KernelReport) -> EndReason:
    if seen.reason in _ASKED_FOR and state.ending is not None:
        return state.ending.reason  # the node knows that it was told to, not why
    if seen.reason is not None:
        return seen.reason
    if seen.phase == "failed":
        return "failed-to-start"
    if state.ending is not None:
        return state.ending.reason
    if state.request.session_type != "batch":
        return "self-terminated"
    return "task-finished" if seen.exit_code == 0 else "task-failed"


def _loss(state: Session, reason: EndReason) -> EndReason:
    # a kernel that was being stopped and is gone has done what was asked
    if state.ending is not None:
        return state.ending.reason
    return "user-requested" if state.restarting and reason == "kernel-lost" else reason


def _gone(
    state: Session,
    kernel: Kernel,
    reason: EndReason,
    at: datetime,
    exit_code: int | None,
    detail: str,
) -> KernelTerminated:
    return KernelTerminated(
        session_id=state.session_id,
        kernel_id=kernel.kernel_id,
        attempt=state.attempt,
        agent_id=kernel.place.agent_id if kernel.place else "",
        exit_code=exit_code,
        reason=reason,
        ended_at=at,
        detail=detail,
    )


def _with_consequences(state: Session, events: list[SessionFact]) -> Events:
    """Return events with all that follows from them for the session as a whole."""
    for event in events:
        state = evolve(state, event)
    if not events:
        return ()
    while (following := _consequence(state)) is not None:
        events.append(following)
        state = evolve(state, following)
    return tuple(events)


def _consequence(state: Session) -> SessionFact | None:
    if state.is_over:
        return None
    if all(kernel.phase == "gone" for kernel in state.kernels):
        return restarting.after_all_are_gone(state) or _end(state)
    if state.ending is None and state.restarting is None:
        culprit = _who_ends_it(state)
        if culprit is not None:
            return SessionTerminating(
                session_id=state.session_id, reason=culprit.reason or "self-terminated"
            )
        if state.status != "RUNNING" and all(kernel.phase == "running" for kernel in state.kernels):
            return SessionStarted(session_id=state.session_id)
    return None


def _who_ends_it(state: Session) -> Kernel | None:
    """Return the kernel whose end is the end of the session: the main one, or one that failed."""
    for kernel in state.kernels:
        is_main = kernel is state.main
        if kernel.phase == "gone" and (is_main or kernel.exit_code != 0):
            return kernel
    return None


def _end(state: Session) -> SessionFact:
    main = state.main
    culprit = restarting.who_prevents_it(state) or _who_ends_it(state) or main
    reason = state.ending.reason if state.ending else culprit.reason or "self-terminated"
    if reason in _NEVER_CAME_UP and not state.has_started:
        return SessionFailed(
            session_id=state.session_id, reason=reason, detail=_detail(state, culprit)
        )
    result: SessionResult = "failure"
    if reason in _ASKED_FOR:
        result = "undefined"
    elif reason in _BY_ITSELF and main.exit_code == 0:
        result = "success"
    return SessionTerminated(
        session_id=state.session_id, reason=reason, result=result, exit_code=main.exit_code
    )


def _detail(state: Session, culprit: Kernel) -> str:
    return culprit.detail or next((each.detail for each in state.kernels if each.detail), "")
