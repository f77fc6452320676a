"""Sessions: from the queue to the end of every kernel; events and commands."""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

import msgspec

from shared.contracts.base import Command, Event, Sealed, Slots
from shared.contracts.kernels import EndReason, KernelReport, SessionType
from shared.contracts.scheduler.adjustments import Adjustment

ClusterMode = Literal["single-node", "multi-node"]
SessionStatus = Literal[
    "PENDING",
    "SCHEDULED",
    "PREPARING",
    "RUNNING",
    "RESTARTING",
    "TERMINATING",
    "TERMINATED",
    "CANCELLED",
    "ERROR",
]
TERMINAL_STATUSES: frozenset[SessionStatus] = frozenset({"TERMINATED", "CANCELLED", "ERROR"})
SessionResult = Literal["undefined", "success", "failure"]
DEFAULT_PRIORITY = 10


class KernelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One process group or container of a session, named main1, sub1 and so on."""

    kernel_id: str
    hostname: str
    requested: Slots


class KernelPlacement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kernel shall run, and which devices it gets (device id -> amount, by slot).

    `incarnation` is the agent's at that moment: a later one never takes the kernel over.
    """

    kernel_id: str
    agent_id: str
    incarnation: str = ""
    devices: dict[str, dict[str, int]] = {}


class SessionEvent(Event, frozen=True):
    """What all events of a session share."""

    AGGREGATE: ClassVar[str] = "session"
    session_id: str

    def key(self) -> str:
        """Return the session's id."""
        return self.session_id


class SessionEnqueued(SessionEvent, frozen=True, tag="SessionEnqueued"):
    """A session waits for its place. `environ` is a sealed JSON object of strings.

    It gets none before `starts_at`, nor before the sessions of `depends_on` have ended well, and
    none but on `designated_agents`, if there are any. `shared_memory` is a part of each kernel's
    memory, in bytes; None leaves it to the node. `adjustments` are in the kernels' requests.
    """

    name: str
    session_type: SessionType
    user_id: str
    access_key: str | None
    domain: str
    project_id: str
    resource_group: str
    image: str
    architecture: str
    command: tuple[str, ...] | None
    environ: Sealed | None
    priority: int
    cluster_mode: ClusterMode
    kernels: tuple[KernelRequest, ...]
    sudo: bool = False
    starts_at: datetime | None = None
    depends_on: tuple[str, ...] = ()
    shared_memory: int | None = None
    designated_agents: tuple[str, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()


class SessionScheduled(SessionEvent, frozen=True, tag="SessionScheduled"):
    """Agents are reserved for every kernel. `attempt` counts placements of this session."""

    placements: tuple[KernelPlacement, ...]
    attempt: int


class SessionPreparing(SessionEvent, frozen=True, tag="SessionPreparing"):
    """The first node has taken up its kernel."""


class KernelStarted(SessionEvent, frozen=True, tag="KernelStarted"):
    """A kernel runs on its node."""

    kernel_id: str
    attempt: int
    agent_id: str
    started_at: datetime


class SessionStarted(SessionEvent, frozen=True, tag="SessionStarted"):
    """Every kernel of the session runs."""


class SessionRestarting(SessionEvent, frozen=True, tag="SessionRestarting"):
    """Every kernel is asked to end and will be followed by the one of its host name in `kernels`.

    Until then the session keeps its places, devices included.
    """

    kernels: tuple[KernelRequest, ...]
    grace_s: int = 10


class SessionRestarted(SessionEvent, frozen=True, tag="SessionRestarted"):
    """The former kernels are gone; these take over their places and are to start there.

    `attempt` goes on counting from that of `SessionScheduled`.
    """

    kernels: tuple[KernelRequest, ...]
    placements: tuple[KernelPlacement, ...]
    attempt: int


class SessionTerminating(SessionEvent, frozen=True, tag="SessionTerminating"):
    """The session is asked to end; its resources stay reserved until its kernels are gone."""

    reason: EndReason
    grace_s: int = 10
    forced: bool = False


class KernelTerminated(SessionEvent, frozen=True, tag="KernelTerminated"):
    """A kernel is gone. `exit_code` is null when it never ran or nobody saw its end."""

    kernel_id: str
    attempt: int
    agent_id: str
    exit_code: int | None
    reason: EndReason
    ended_at: datetime
    detail: str = ""


class SessionTerminated(SessionEvent, frozen=True, tag="SessionTerminated"):
    """The session is over and holds nothing any more."""

    reason: EndReason
    result: SessionResult
    exit_code: int | None


class SessionCancelled(SessionEvent, frozen=True, tag="SessionCancelled"):
    """The session left the queue without ever having had a place; `detail` may tell why."""

    reason: EndReason
    detail: str = ""


class SessionFailed(SessionEvent, frozen=True, tag="SessionFailed"):
    """The session could not be made to run; `detail` tells what to do about it."""

    reason: EndReason
    detail: str = ""


SessionsEvent: TypeAlias = (
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


class EnqueueSession(Command, frozen=True, tag="EnqueueSession"):
    """Put `count` equal sessions into a queue; more than one are named `<name>-0` and so on.

    `resources` is what each kernel asks for. Without a priority it is the usual one, or the highest
    that the keypair's policy allows if that is lower. Without a group it is the default one if it
    takes them, else the first by name that does. `depends_on` are ids of sessions of the user, or
    names of such that have not ended. What is less than the image's minimum is raised to it, or
    refused when `strict`. Only `designated_agents` will do, if there are any; whoever sends it has
    seen that the user may choose. The result holds `session_ids`, in order.
    """

    SERVICE: ClassVar = "scheduler"
    name: str
    session_type: SessionType
    user_id: str
    access_key: str | None
    domain: str
    project_id: str
    image: str
    resource_group: str | None = None
    resources: Slots = {}
    command: tuple[str, ...] | None = None
    environ: Sealed | None = None
    priority: int | None = None
    cluster_size: int = 1
    cluster_mode: ClusterMode = "single-node"
    count: int = 1
    sudo: bool = False
    starts_at: datetime | None = None
    depends_on: tuple[str, ...] = ()
    shared_memory: int | None = None
    designated_agents: tuple[str, ...] = ()
    strict: bool = False


class TerminateSession(Command, frozen=True, tag="TerminateSession"):
    """End a session: a pending one is cancelled, a running one stopped (grace, then kill)."""

    SERVICE: ClassVar = "scheduler"
    session_id: str
    forced: bool = False
    grace_s: int = 10


class RestartSession(Command, frozen=True, tag="RestartSession"):
    """Let a running session's kernels end (grace, then kill) and start anew where they are.

    Refused (409): `not_running`, `partly_ended` when a kernel's place is given up already, and
    `agent_away` when an agent can't be asked now.
    """

    SERVICE: ClassVar = "scheduler"
    session_id: str
    grace_s: int = 10


class ReportKernels(Command, frozen=True, tag="ReportKernels"):
    """Facts from a node; the answer means that they are durable and need not be sent again.

    A report of nothing is accepted once sessions can be placed on this incarnation of the agent.
    """

    SERVICE: ClassVar = "scheduler"
    agent_id: str
    incarnation: str
    reports: tuple[KernelReport, ...]


SessionsCommand: TypeAlias = EnqueueSession | RestartSession | TerminateSession | ReportKernels
