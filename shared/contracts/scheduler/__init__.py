"""scheduler: resource groups and sessions, from the queue to the end of every kernel.

A session's stream tells its whole life. Statuses: PENDING (enqueued) -> SCHEDULED (agents
reserved) -> PREPARING (the node has it) -> RUNNING (every kernel runs) -> TERMINATING ->
TERMINATED, or CANCELLED (never ran) or ERROR (could not be made to run).
"""

from typing import TypeAlias

from shared.contracts.scheduler.groups import (
    ALL_SESSION_TYPES,
    AgentSelection,
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
    GroupCommand,
    GroupEvent,
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
    ResourceGroupEvent,
    SchedulerType,
)
from shared.contracts.scheduler.queue import (
    GetPendingQueue,
    PendingQueue,
    QueueChanged,
    QueueEntry,
    Reason,
    SchedulerQuery,
    Violation,
)
from shared.contracts.scheduler.sessions import (
    DEFAULT_PRIORITY,
    TERMINAL_STATUSES,
    ClusterMode,
    EnqueueSession,
    KernelPlacement,
    KernelRequest,
    KernelStarted,
    KernelTerminated,
    ReportKernels,
    SessionCancelled,
    SessionEnqueued,
    SessionEvent,
    SessionFailed,
    SessionPreparing,
    SessionResult,
    SessionScheduled,
    SessionsCommand,
    SessionsEvent,
    SessionStarted,
    SessionStatus,
    SessionTerminated,
    SessionTerminating,
    TerminateSession,
)
from shared.contracts.scheduler.simulation import (
    EstimatedStart,
    SimulatedKernel,
    SimulatedSession,
    SimulateSession,
    Simulation,
)

__all__ = [
    "ALL_SESSION_TYPES",
    "DEFAULT_PRIORITY",
    "TERMINAL_STATUSES",
    "AgentSelection",
    "ChangeResourceGroup",
    "ClusterMode",
    "CreateResourceGroup",
    "DeleteResourceGroup",
    "EnqueueSession",
    "EstimatedStart",
    "GetPendingQueue",
    "GroupCommand",
    "GroupEvent",
    "KernelPlacement",
    "KernelRequest",
    "KernelStarted",
    "KernelTerminated",
    "PendingQueue",
    "QueueChanged",
    "QueueEntry",
    "Reason",
    "ReportKernels",
    "ResourceGroupChanged",
    "ResourceGroupCreated",
    "ResourceGroupDeleted",
    "ResourceGroupEvent",
    "SchedulerCommand",
    "SchedulerEvent",
    "SchedulerQuery",
    "SchedulerType",
    "SessionCancelled",
    "SessionEnqueued",
    "SessionEvent",
    "SessionFailed",
    "SessionPreparing",
    "SessionResult",
    "SessionScheduled",
    "SessionStarted",
    "SessionStatus",
    "SessionTerminated",
    "SessionTerminating",
    "SessionsCommand",
    "SessionsEvent",
    "SimulateSession",
    "SimulatedKernel",
    "SimulatedSession",
    "Simulation",
    "TerminateSession",
    "Violation",
]

SchedulerEvent: TypeAlias = GroupEvent | SessionsEvent
SchedulerCommand: TypeAlias = GroupCommand | SessionsCommand | SimulateSession
