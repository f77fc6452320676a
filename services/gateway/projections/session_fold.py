"""A session as a document: the pure fold of its stream."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from services.gateway.documents.adjustments import adjustment_documents
from services.gateway.documents.sessions import (
    KernelDocument,
    SessionDocument,
    SessionTimes,
)
from shared.contracts.scheduler import (
    KernelPlacement,
    KernelRequest,
    KernelStarted,
    KernelTerminated,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionPreparing,
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionStarted,
    SessionStatus,
    SessionTerminated,
    SessionTerminating,
)
from shared.kernel.slots import add, render_amount, render_slots

OVER: Final = frozenset({"TERMINATED", "CANCELLED", "ERROR"})
HOLDING: Final = frozenset({"SCHEDULED", "PREPARING", "RUNNING", "RESTARTING", "TERMINATING"})


def enqueued(event: SessionEnqueued, at: datetime) -> SessionDocument:
    """Return a new session's document."""
    total: dict[str, int] = {}
    for kernel in event.kernels:
        total = add(total, kernel.requested)
    return SessionDocument(
        id=event.session_id,
        name=event.name,
        type=event.session_type,
        status="PENDING",
        status_history={"PENDING": at},
        user_id=event.user_id,
        access_key=event.access_key,
        domain=event.domain,
        project=event.project_id,
        resource_group=event.resource_group,
        image=event.image,
        architecture=event.architecture,
        command=None if event.command is None else list(event.command),
        priority=event.priority,
        cluster_size=len(event.kernels),
        cluster_mode=event.cluster_mode,
        resources=render_slots(event.kernels[0].requested) if event.kernels else {},
        requested=render_slots(total),
        kernels=[_new_kernel(kernel) for kernel in event.kernels],
        starts_at=event.starts_at,
        depends_on=list(event.depends_on),
        adjustments=adjustment_documents(event.adjustments),
        shared_memory=event.shared_memory,
        designated_agents=list(event.designated_agents),
        times=SessionTimes(created_at=at),
        created_at=at,
        modified_at=at,
    )


def _new_kernel(kernel: KernelRequest) -> KernelDocument:
    return KernelDocument(
        id=kernel.kernel_id,
        hostname=kernel.hostname,
        requested=render_slots(kernel.requested),
    )


def _enter(session: SessionDocument, status: SessionStatus, at: datetime) -> None:
    session.status = status
    session.status_history.pop(status, None)  # a restart comes by again: the last time counts
    session.status_history[status] = at


def _kernel(session: SessionDocument, kernel_id: str) -> KernelDocument:
    return next(kernel for kernel in session.kernels if kernel.id == kernel_id)


def _scheduled(session: SessionDocument, event: SessionScheduled, at: datetime) -> None:
    _enter(session, "SCHEDULED", at)
    session.attempt = event.attempt
    session.times.scheduled_at = at
    session.times.started_at = None
    _place(session, event.placements, event.attempt)


def _place(session: SessionDocument, places: Iterable[KernelPlacement], attempt: int) -> None:
    for placement in places:
        kernel = _kernel(session, placement.kernel_id)
        kernel.status = "SCHEDULED"
        kernel.agent_id = placement.agent_id
        kernel.attempt = attempt
        kernel.devices = {
            slot: {device: render_amount(slot, amount) for device, amount in devices.items()}
            for slot, devices in placement.devices.items()
        }
    session.agents = sorted({kernel.agent_id for kernel in session.kernels if kernel.agent_id})


def _preparing(session: SessionDocument, _event: SessionPreparing, at: datetime) -> None:
    _enter(session, "PREPARING", at)
    for kernel in session.kernels:
        if kernel.status == "SCHEDULED":
            kernel.status = "PREPARING"


def _kernel_started(session: SessionDocument, event: KernelStarted, _at: datetime) -> None:
    kernel = _kernel(session, event.kernel_id)
    kernel.status = "RUNNING"
    kernel.agent_id = event.agent_id
    kernel.started_at = event.started_at


def _started(session: SessionDocument, _event: SessionStarted, at: datetime) -> None:
    _enter(session, "RUNNING", at)
    if session.times.started_at is None:
        session.times.started_at = at


def _restarting(session: SessionDocument, _event: SessionRestarting, at: datetime) -> None:
    _enter(session, "RESTARTING", at)
    for kernel in session.kernels:
        kernel.status = "RESTARTING"


def _restarted(session: SessionDocument, event: SessionRestarted, at: datetime) -> None:
    _enter(session, "SCHEDULED", at)
    session.attempt = event.attempt
    session.kernels = [_new_kernel(kernel) for kernel in event.kernels]
    _place(session, event.placements, event.attempt)


def _terminating(session: SessionDocument, event: SessionTerminating, at: datetime) -> None:
    _enter(session, "TERMINATING", at)
    session.status_info = event.reason
    for kernel in session.kernels:
        if kernel.status not in OVER:
            # one that was to be restarted may be gone; only now its place is given up
            kernel.status = "TERMINATED" if kernel.terminated_at else "TERMINATING"


def _kernel_terminated(session: SessionDocument, event: KernelTerminated, _at: datetime) -> None:
    kernel = _kernel(session, event.kernel_id)
    if session.status != "RESTARTING":  # then its place waits for the one that follows
        kernel.status = "TERMINATED"
    kernel.exit_code = event.exit_code
    kernel.reason = event.reason
    kernel.detail = event.detail
    kernel.terminated_at = event.ended_at
    if event.detail:
        session.status_detail = event.detail


def _close(session: SessionDocument, status: SessionStatus, reason: Any, at: datetime) -> None:
    _enter(session, status, at)
    session.status_info = reason
    session.times.terminated_at = at
    for kernel in session.kernels:
        if kernel.status not in OVER:
            kernel.status = status


def _terminated(session: SessionDocument, event: SessionTerminated, at: datetime) -> None:
    _close(session, "TERMINATED", event.reason, at)
    session.result = event.result
    session.exit_code = event.exit_code


def _cancelled(session: SessionDocument, event: SessionCancelled, at: datetime) -> None:
    _close(session, "CANCELLED", event.reason, at)
    session.status_detail = event.detail


def _failed(session: SessionDocument, event: SessionFailed, at: datetime) -> None:
    _close(session, "ERROR", event.reason, at)
    session.status_detail = event.detail


_STEPS: Final[dict[type, Callable[[SessionDocument, Any, datetime], None]]] = {
    SessionScheduled: _scheduled,
    SessionPreparing: _preparing,
    KernelStarted: _kernel_started,
    SessionStarted: _started,
    SessionRestarting: _restarting,
    SessionRestarted: _restarted,
    SessionTerminating: _terminating,
    KernelTerminated: _kernel_terminated,
    SessionTerminated: _terminated,
    SessionCancelled: _cancelled,
    SessionFailed: _failed,
}


def advance(session: SessionDocument, event: object, at: datetime) -> None:
    """Fold one later event of a session into its document."""
    step = _STEPS.get(type(event))
    if step is not None:
        step(session, event, at)
        session.modified_at = at
