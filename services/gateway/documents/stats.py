"""What a running session uses, beside what it was given."""

from datetime import datetime
from typing import Literal

import msgspec

from shared.contracts.scheduler import SessionStatus

Cause = Literal["not_running", "over", "not_measured"]


class CpuFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Processors: `used` and `allotted` in cores, `percent` of what was allotted, `used_s` ever."""

    used: float | None = None
    allotted: float | None = None
    percent: float | None = None
    used_s: float | None = None


class MemFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in bytes. `used` leaves out cached files that are not in use, `peak` counts them."""

    used: int | None = None
    allotted: int | None = None
    percent: float | None = None
    peak: int | None = None


class IoFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes read from storage and written to it, by what runs and what its parents saw end."""

    read: int | None = None
    written: int | None = None


class DeviceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An accelerator of which a kernel was given `allotted`; the figures are the whole device's."""

    id: str
    slot: str
    agent_id: str
    kernel_id: str
    allotted: str | None = None
    utilisation: float | None = None
    mem_used: int | None = None
    mem_total: int | None = None


class KernelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel, as its agent measured it `at`."""

    id: str
    hostname: str
    agent_id: str
    at: datetime
    cpu: CpuFigures
    mem: MemFigures
    io: IoFigures
    pids: int | None = None


class StatsPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What all kernels together used a while ago; `device_percent` is their devices' mean."""

    at: datetime
    cpu_used: float | None = None
    mem_used: int | None = None
    device_percent: float | None = None
    device_mem_used: int | None = None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why there are no figures."""

    code: Cause
    message: str


class SessionStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a session uses now: all kernels together, each by itself, and how it went of late.

    Without figures `why` tells the cause. Null is what cannot be measured on those agents.
    `history` has a point every 5 s at most, and is of this gateway: it begins with it.
    """

    session_id: str
    status: SessionStatus
    at: datetime | None = None
    why: Why | None = None
    cpu: CpuFigures | None = None
    mem: MemFigures | None = None
    io: IoFigures | None = None
    pids: int | None = None
    devices: list[DeviceFigures] = []
    kernels: list[KernelFigures] = []
    history: list[StatsPoint] = []
