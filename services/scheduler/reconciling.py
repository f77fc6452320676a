"""The books against what a node says it has: what is lost, what should not be there.

A kernel is taken for lost only when two heartbeats in a row, made after the node last spoke of it,
leave it out: one may have been on its way when the kernel came up.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from services.scheduler.domain.session import Kernel, Session
from shared.contracts.agents import Heartbeat
from shared.contracts.kernels import KernelPresence

BEATS_TO_BELIEVE: Final = 2


class Findings(NamedTuple):
    """What one heartbeat tells. `lost` is by session; `unheard` are reserved but unknown there.

    `missing` are those that it leaves out, and that would be lost if the next one does too.
    """

    lost: dict[str, tuple[str, ...]]
    stray: tuple[KernelPresence, ...]
    unheard: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Tell whether the books and the node agree."""
        return not (self.lost or self.stray or self.unheard)


class Reconciler:
    """Compares heartbeats with the books, one agent at a time."""

    def __init__(self) -> None:
        self._missing: dict[str, int] = {}
        self._newest: dict[str, tuple[str, int]] = {}

    def compare(self, beat: Heartbeat, booked: Iterable[tuple[Session, Kernel]]) -> Findings:
        """Compare a heartbeat with the live kernels that the books have on its agent."""
        if self._is_old(beat):
            return Findings({}, (), ())
        known = {(each.kernel_id, each.attempt): each for each in beat.kernels}
        lost: dict[str, list[str]] = {}
        unheard: list[str] = []
        missing: list[str] = []
        wanted: set[tuple[str, int]] = set()
        for session, kernel in booked:
            place = kernel.place
            if place is None or place.incarnation not in ("", beat.incarnation):
                continue
            key = (kernel.kernel_id, session.attempt)
            wanted.add(key)
            if key in known or not _should_be_there(session, kernel, beat.at):
                self._missing.pop(kernel.kernel_id, None)
                continue
            times = self._missing[kernel.kernel_id] = self._missing.get(kernel.kernel_id, 0) + 1
            if times < BEATS_TO_BELIEVE:
                missing.append(kernel.kernel_id)
                continue
            del self._missing[kernel.kernel_id]
            if kernel.phase == "reserved" and not session.is_stopping:
                unheard.append(kernel.kernel_id)
            else:
                lost.setdefault(session.session_id, []).append(kernel.kernel_id)
        stray = tuple(
            each
            for key, each in known.items()
            if key not in wanted and each.phase in ("preparing", "running")
        )
        gone = {key: tuple(ids) for key, ids in lost.items()}
        return Findings(gone, stray, tuple(unheard), tuple(missing))

    def _is_old(self, beat: Heartbeat) -> bool:
        incarnation, sequence = self._newest.get(beat.agent_id, ("", -1))
        if incarnation == beat.incarnation and beat.sequence <= sequence:
            return True
        self._newest[beat.agent_id] = (beat.incarnation, beat.sequence)
        return False


def _should_be_there(session: Session, kernel: Kernel, at: datetime) -> bool:
    if kernel.phase == "running" and not session.is_stopping:
        return kernel.started_at is None or at > kernel.started_at
    return True
