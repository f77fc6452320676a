"""A session from the queue to the end of every kernel: state and what each event makes of it.

What may happen next is decided in `session_rules.py`. A terminal session never changes again.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

from shared.contracts.base import Event
from shared.contracts.kernels import EndReason
from shared.contracts.scheduler import (
    TERMINAL_STATUSES,
    KernelPlacement,
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
from shared.kernel.slots import Slots, add

Phase = Literal["waiting", "reserved", "running", "gone"]
SessionFact = (
    SessionEnqueued
    | SessionScheduled
    | SessionPreparing
    | KernelStarted
    | SessionStarted
    | SessionRestarting
    | SessionRestarted
    | SessionTerminating
    | KernelTerminated
    | SessionTerminated
    | SessionCancelled
    | SessionFailed
)

_STATUS_AFTER: Final[dict[type[Event], SessionStatus]] = {
    SessionScheduled: "SCHEDULED",
    SessionPreparing: "PREPARING",
    SessionStarted: "RUNNING",
    SessionRestarting: "RESTARTING",
    SessionRestarted: "SCHEDULED",
    SessionTerminating: "TERMINATING",
    SessionTerminated: "TERMINATED",
    SessionCancelled: "CANCELLED",
    SessionFailed: "ERROR",
}


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel: where it is and how far it got. `exit_code` None: it never ran, or unseen."""

    kernel_id: str
    hostname: str
    requested: Slots
    phase: Phase = "waiting"
    place: KernelPlacement | None = None
    started_at: datetime | None = None
    exit_code: int | None = None
    reason: EndReason | None = None
    detail: str = ""

    @property
    def is_live(self) -> bool:
        """Tell whether it holds resources on an agent."""
        return self.phase in ("reserved", "running")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session. `attempt` counts placements; `ending` is the wish to end it.

    While `restarting` is set its kernels end, and their places wait for those that follow them.
    """

    request: SessionEnqueued
    kernels: tuple[Kernel, ...]
    status: SessionStatus = "PENDING"
    attempt: int = 0
    has_started: bool = False
    ending: SessionTerminating | None = None
    restarting: SessionRestarting | None = None

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.request.session_id

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended for good."""
        return self.status in TERMINAL_STATUSES

    @property
    def is_stopping(self) -> bool:
        """Tell whether its kernels are asked to end, be it for good or to be followed by others."""
        return self.ending is not None or self.restarting is not None

    @property
    def total_slots(self) -> Slots:
        """What all its kernels ask for together."""
        return sum_of(self.request)

    @property
    def main(self) -> Kernel:
        """The kernel whose command is the session's."""
        return self.kernels[0]

    @property
    def holders(self) -> tuple[Kernel, ...]:
        """The kernels whose places are reserved: in a restart also of those that are gone."""
        if self.restarting is not None:
            return self.kernels
        return tuple(kernel for kernel in self.kernels if kernel.is_live)

    def kernel(self, kernel_id: str) -> Kernel | None:
        """Return one of its kernels."""
        return next((each for each in self.kernels if each.kernel_id == kernel_id), None)


def sum_of(event: SessionEnqueued) -> Slots:
    """Return what all kernels of a session ask for together."""
    if len(event.kernels) == 1:
        return event.kernels[0].requested
    total: Slots = {}
    for kernel in event.kernels:
        total = add(total, kernel.requested)
    return total


def begin(event: SessionEnqueued) -> Session:
    """Return the session that an enqueue makes."""
    kernels = tuple(
        Kernel(kernel_id=each.kernel_id, hostname=each.hostname, requested=each.requested)
        for each in event.kernels
    )
    return Session(request=event, kernels=kernels)


def evolve(state: Session | None, event: SessionFact) -> Session:
    """Return the state after an event."""
    if isinstance(event, SessionEnqueued):
        return begin(event)
    if state is None:
        raise ValueError(f"{type(event).__name__} of a session that was never enqueued")
    match event:
        case SessionScheduled():
            state = _placed(state, event)
        case KernelStarted(kernel_id=kernel_id, started_at=started_at):
            state = _with_kernel(state, kernel_id, phase="running", started_at=started_at)
        case KernelTerminated():
            state = _with_kernel(
                state,
                event.kernel_id,
                phase="gone",
                exit_code=event.exit_code,
                reason=event.reason,
                detail=event.detail,
            )
        case SessionStarted():
            state = msgspec.structs.replace(state, has_started=True)
        case SessionRestarting():
            state = msgspec.structs.replace(state, restarting=event)
        case SessionRestarted():
            state = _restarted(state, event)
        case SessionTerminating():
            state = msgspec.structs.replace(state, ending=event, restarting=None)
        case _:
            pass
    status = _STATUS_AFTER.get(type(event))
    return msgspec.structs.replace(state, status=status) if status else state


def _placed(state: Session, event: SessionScheduled) -> Session:
    places = {place.kernel_id: place for place in event.placements}
    kernels = tuple(
        msgspec.structs.replace(each, phase="reserved", place=places[each.kernel_id])
        for each in state.kernels
    )
    return msgspec.structs.replace(state, attempt=event.attempt, kernels=kernels)


def _restarted(state: Session, event: SessionRestarted) -> Session:
    places = {place.kernel_id: place for place in event.placements}
    kernels = tuple(
        Kernel(
            kernel_id=each.kernel_id,
            hostname=each.hostname,
            requested=each.requested,
            phase="reserved",
            place=places[each.kernel_id],
        )
        for each in event.kernels
    )
    # whether it can be made to run is open again
    return msgspec.structs.replace(
        state, kernels=kernels, attempt=event.attempt, has_started=False, restarting=None
    )


def _with_kernel(state: Session, kernel_id: str, **changes: object) -> Session:
    kernels = tuple(
        msgspec.structs.replace(each, **changes) if each.kernel_id == kernel_id else each
        for each in state.kernels
    )
    return msgspec.structs.replace(state, kernels=kernels)
