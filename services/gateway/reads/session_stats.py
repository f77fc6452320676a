"""From heartbeats and a session's document to what it uses, beside what it was given."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from services.gateway.auth.principals import Principal
from services.gateway.documents.stats import (
    Cause,
    CpuFigures,
    DeviceFigures,
    IoFigures,
    KernelFigures,
    MemFigures,
    SessionStats,
    StatsPoint,
    Why,
)
from services.gateway.gateway import Gateway
from services.gateway.reads.sessions import SESSIONS
from services.gateway.telemetry.usages import STALE_S, Measured, Point, cores
from shared.contracts.scheduler import TERMINAL_STATUSES
from shared.kernel.rejections import Rejection
from shared.kernel.slots import MILLI, slots_of

ACTION: Final = "sessions.stats"
# Its kernels may hold what they were given in these.
MEASURED: Final = frozenset({"PREPARING", "RUNNING", "TERMINATING", "RESTARTING"})
N = TypeVar("N", int, float)


async def stats_of(
    gateway: Gateway, principal: Principal, session_id: str
) -> SessionStats | Rejection:
    """Return what a session uses, to whoever may see it."""
    resource = SESSIONS._replace(read_action=ACTION)
    session = await gateway.reads.decoded(resource, principal, session_id)
    if isinstance(session, Rejection):
        return session
    usages = gateway.usages
    return session_stats(session, usages.latest(session_id), usages.history(session_id))


def session_stats(
    session: dict[str, Any], measured: Iterable[Measured], history: Sequence[Point]
) -> SessionStats:
    """Return the figures of a session document; only its own agents are believed."""
    by_kernel = {one.usage.kernel_id: one for one in measured}
    found = [
        (kernel, by_kernel[kernel["id"]])
        for kernel in session["kernels"]
        if kernel["id"] in by_kernel and by_kernel[kernel["id"]].agent_id == kernel["agent_id"]
    ]
    about = {"session_id": session["id"], "status": session["status"]}
    if not found or session["status"] not in MEASURED:
        return SessionStats(**about, why=_why(session))
    kernels = [_kernel(kernel, one) for kernel, one in found]
    return SessionStats(
        **about,
        at=max(kernel.at for kernel in kernels),
        cpu=_cpu(
            _sum(kernel.cpu.used for kernel in kernels),
            _sum(kernel.cpu.allotted for kernel in kernels),
            _sum(kernel.cpu.used_s for kernel in kernels),
        ),
        mem=_mem(
            _sum(kernel.mem.used for kernel in kernels),
            _sum(kernel.mem.allotted for kernel in kernels),
            _sum(kernel.mem.peak for kernel in kernels),
        ),
        io=IoFigures(
            read=_sum(kernel.io.read for kernel in kernels),
            written=_sum(kernel.io.written for kernel in kernels),
        ),
        pids=_sum(kernel.pids for kernel in kernels),
        devices=[device for kernel, one in found for device in _devices(kernel, one)],
        kernels=kernels,
        history=[StatsPoint(**point._asdict()) for point in history],
    )


def _why(session: dict[str, Any]) -> Why:
    status = session["status"]
    code: Cause
    if status in TERMINAL_STATUSES:
        code, message = "over", "The session is over; its use was measured while it ran."
    elif status not in MEASURED:
        code, message = "not_running", "The session does not run yet; its use is measured then."
    else:
        agents = ", ".join(session["agents"])
        code = "not_measured"
        message = (
            f"No measurement came from {agents} within {STALE_S:.0f} s."
            " It comes with the agent's next heartbeats; if not, look whether the agent is alive."
        )
    return Why(code=code, message=message)


def _kernel(kernel: dict[str, Any], measured: Measured) -> KernelFigures:
    usage, given = measured.usage, slots_of(kernel["requested"])
    cpu = given.get("cpu")
    return KernelFigures(
        id=kernel["id"],
        hostname=kernel["hostname"],
        agent_id=measured.agent_id,
        at=usage.at,
        cpu=_cpu(cores(usage), None if cpu is None else cpu / MILLI, usage.cpu_used_s),
        mem=_mem(usage.mem_bytes, given.get("mem"), usage.mem_peak_bytes),
        io=IoFigures(read=usage.io_read_bytes, written=usage.io_written_bytes),
        pids=usage.pids,
    )


def _cpu(used: float | None, allotted: float | None, used_s: float | None) -> CpuFigures:
    rounded = None if used is None else round(used, 4)
    percent = _percent(used, allotted)
    return CpuFigures(used=rounded, allotted=allotted, percent=percent, used_s=used_s)


def _mem(used: int | None, allotted: int | None, peak: int | None) -> MemFigures:
    return MemFigures(used=used, allotted=allotted, percent=_percent(used, allotted), peak=peak)


def _devices(kernel: dict[str, Any], measured: Measured) -> list[DeviceFigures]:
    return [
        DeviceFigures(
            id=device.device_id,
            slot=device.slot,
            agent_id=measured.agent_id,
            kernel_id=kernel["id"],
            allotted=kernel["devices"].get(device.slot, {}).get(device.device_id),
            utilisation=device.utilisation_percent,
            mem_used=device.memory_used_bytes,
            mem_total=device.memory_total_bytes,
        )
        for device in measured.usage.devices
    ]


def _percent(used: float | None, allotted: float | None) -> float | None:
    return None if used is None or not allotted else round(100 * used / allotted, 2)


def _sum(values: Iterable[N | None]) -> N | None:
    """Add up what is known; nothing where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
