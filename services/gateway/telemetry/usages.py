"""What each session's kernels use now, as heartbeats tell it, and how that went of late."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shared.contracts.agents import Heartbeat
from shared.contracts.kernels import KernelUsage
from shared.kernel.clock import Clock

STALE_S: Final = 60.0
POINT_EVERY_S: Final = 5.0
POINTS_MAX: Final = 60
# Of all sessions together: with many, each has fewer points.
ALL_POINTS_MAX: Final = 200_000
SESSIONS_MAX: Final = 50_000
FORGOTTEN_AFTER_S: Final = 600.0
SWEEP_EVERY_S: Final = 60.0


class Measured(NamedTuple):
    """A kernel's latest figures: who measured them, and when they came here (monotonic, s)."""

    agent_id: str
    come_s: float
    usage: KernelUsage


class Point(NamedTuple):
    """What a session used at a moment: cores, bytes, and its accelerators' mean and memory."""

    at: datetime
    cpu_used: float | None
    mem_used: int | None
    device_percent: float | None
    device_mem_used: int | None


class _Session:
    def __init__(self) -> None:
        self.kernels: dict[str, Measured] = {}
        self.points: deque[Point] = deque()
        self.noted_s: float | None = None
        self.come_s = 0.0

    def fresh(self, now_s: float) -> list[Measured]:
        return [one for one in self.kernels.values() if now_s - one.come_s <= STALE_S]

    def note(self, now_s: float, points_max: int) -> None:
        """Add a point, unless the last one is too near."""
        self.come_s = now_s
        if self.noted_s is not None and now_s - self.noted_s < POINT_EVERY_S:
            return
        self.noted_s = now_s
        self.points.append(_point(self.fresh(now_s)))
        while len(self.points) > points_max:
            self.points.popleft()


class SessionUsages:
    """The latest figures of every running session, with a history; all of it bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._of_agent: dict[str, frozenset[tuple[str, str]]] = {}
        self._swept_s = clock.monotonic()

    def record(self, heartbeat: Heartbeat) -> list[str]:
        """Take over what an agent measured; return the sessions of which something is new.

        A kernel that its agent tells no more is forgotten, and so are all with a goodbye.
        """
        now_s = self._clock.monotonic()
        usage = heartbeat.usage if heartbeat.goodbye is None else ()
        told = {(one.session_id, one.kernel_id): one for one in usage}
        self._forget_untold(heartbeat.agent_id, frozenset(told))
        changed: dict[str, _Session] = {}
        for (session_id, kernel_id), one in told.items():
            session = self._session(session_id)
            if session is None:
                continue
            before = session.kernels.get(kernel_id)
            if before is None or before.usage.at != one.at:
                session.kernels[kernel_id] = Measured(heartbeat.agent_id, now_s, one)
                changed[session_id] = session
        points_max = min(POINTS_MAX, ALL_POINTS_MAX // max(1, len(self._sessions)))
        for session in changed.values():
            session.note(now_s, points_max)
        self._sweep(now_s)
        return list(changed)

    def latest(self, session_id: str) -> list[Measured]:
        """Return what is known of a session's kernels and is not too old."""
        session = self._sessions.get(session_id)
        return [] if session is None else session.fresh(self._clock.monotonic())

    def history(self, session_id: str) -> Sequence[Point]:
        """Return a session's points, the oldest first."""
        session = self._sessions.get(session_id)
        return () if session is None else tuple(session.points)

    def _session(self, session_id: str) -> _Session | None:
        session = self._sessions.get(session_id)
        if session is None and len(self._sessions) < SESSIONS_MAX:
            session = self._sessions[session_id] = _Session()
        return session

    def _forget_untold(self, agent_id: str, told: frozenset[tuple[str, str]]) -> None:
        for session_id, kernel_id in self._of_agent.pop(agent_id, frozenset()) - told:
            session = self._sessions.get(session_id)
            known = None if session is None else session.kernels.get(kernel_id)
            if session is not None and known is not None and known.agent_id == agent_id:
                del session.kernels[kernel_id]
        if told:
            self._of_agent[agent_id] = told

    def _sweep(self, now_s: float) -> None:
        if now_s - self._swept_s < SWEEP_EVERY_S:
            return
        self._swept_s = now_s
        silent = [
            session_id
            for session_id, session in self._sessions.items()
            if now_s - session.come_s > FORGOTTEN_AFTER_S
        ]
        for session_id in silent:
            del self._sessions[session_id]


def cores(usage: KernelUsage) -> float | None:
    """Return how many processors a kernel keeps busy."""
    return None if usage.cpu_percent is None else usage.cpu_percent / 100


def _point(measured: Sequence[Measured]) -> Point:
    usages = [one.usage for one in measured]
    devices = [device for one in usages for device in one.devices]
    busy = [one.utilisation_percent for one in devices if one.utilisation_percent is not None]
    used = [used for one in usages if (used := cores(one)) is not None]
    mem = [one.mem_bytes for one in usages if one.mem_bytes is not None]
    device_mem = [one.memory_used_bytes for one in devices if one.memory_used_bytes is not None]
    return Point(
        at=max(one.at for one in usages),
        cpu_used=round(sum(used), 4) if used else None,
        mem_used=sum(mem) if mem else None,
        device_percent=round(sum(busy) / len(busy), 2) if busy else None,
        device_mem_used=sum(device_mem) if device_mem else None,
    )
