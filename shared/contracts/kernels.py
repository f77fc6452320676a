"""What the control plane and the nodes say to each other about kernels.

A kernel is one process group or container of a session; a session has one or more.
"""

from datetime import datetime
from typing import Literal

import msgspec

from shared.contracts.base import Sealed, Slots

SessionType = Literal["interactive", "batch", "inference"]
EndReason = Literal[
    "user-requested",
    "force-terminated",
    "task-finished",
    "task-failed",
    "out-of-memory",
    "failed-to-start",
    "image-not-available",
    "agent-lost",
    "kernel-lost",
    "self-terminated",
    "pending-timeout",
    "dependency-failed",
    "idle-session-lifetime",
    "idle-timeout",
    "idle-utilization",
    "hang-timeout",
]
AutoPull = Literal["digest", "tag", "none"]
KernelPhase = Literal["preparing", "running", "terminated", "failed"]


class KernelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a node saw of one kernel; idempotent by (kernel, attempt, sequence)."""

    session_id: str
    kernel_id: str
    attempt: int
    sequence: int
    phase: KernelPhase
    at: datetime
    exit_code: int | None = None
    reason: EndReason | None = None
    detail: str = ""


class KernelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a node shall run: the value of `<agent>.<kernel>` in the desired-state bucket.

    `environ` is sealed under the node's own key. `goal` says whether the kernel shall run or be
    gone; a key that is absent means that the node may forget the kernel. A node of another
    `incarnation` than the one named leaves the kernel alone. `image_auto_pull` says when the image
    is fetched: when it is missing or its digest is not `image_digest` ("": not known), when it is
    missing, never. `shared_memory` is how much of its memory, in bytes, /dev/shm may take; None:
    all of it.
    """

    session_id: str
    kernel_id: str
    attempt: int
    epoch: int
    incarnation: str = ""
    goal: Literal["running", "stopped"]
    session_type: SessionType
    session_name: str
    image: str
    hostname: str
    command: tuple[str, ...] | None
    environ: Sealed | None
    resources: Slots
    devices: dict[str, dict[str, int]] = {}
    grace_s: int = 10
    forced: bool = False
    sudo: bool = False
    image_auto_pull: AutoPull = "digest"
    image_digest: str = ""
    shared_memory: int | None = None
    labels: dict[str, str] = {}


class KernelPresence(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that a node knows, as its heartbeat says."""

    session_id: str
    kernel_id: str
    attempt: int
    phase: KernelPhase


class DeviceUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one accelerator does that a kernel was given, all of it or a part."""

    device_id: str
    slot: str
    utilisation_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None


class KernelUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a running kernel uses, as its node measured it `at`; null is what can't be measured.

    `cpu_percent` is the mean since the measurement before, 100 for one core; None at the first.
    """

    session_id: str
    kernel_id: str
    at: datetime
    cpu_percent: float | None = None
    cpu_used_s: float | None = None
    mem_bytes: int | None = None
    mem_peak_bytes: int | None = None
    pids: int | None = None
    io_read_bytes: int | None = None
    io_written_bytes: int | None = None
    devices: tuple[DeviceUsage, ...] = ()


class ReadKernelLog(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a node (`node.<agent>.log`) for a piece of a kernel's log.

    The answer waits up to `wait_s` for bytes past `offset` unless the kernel has ended.
    """

    kernel_id: str
    offset: int = 0
    limit: int = 262_144
    wait_s: float = 0.0


class KernelLogPiece(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a log (stdout and stderr as written) and where the next piece starts."""

    data: bytes
    next_offset: int
    ended: bool
    found: bool = True
