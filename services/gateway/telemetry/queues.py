"""The order in which pending sessions will be placed, and why each waits.

The scheduler tells a group's whole queue after a pass. Which sessions are pending at all is known
from the log: the two are laid over each other, so a session that was just enqueued is shown at
once and one that was just placed is not, whatever the last message said.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from shared.contracts.scheduler import (
    PendingQueue,
    QueueChanged,
    QueueEntry,
    Reason,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionScheduled,
    SessionTerminated,
    SessionTerminating,
)
from shared.eventlog.records import Recorded
from shared.kernel.clock import Clock

NOT_EXAMINED: Final = Reason(
    code="not-examined-yet", message="The scheduler has not looked at this session yet."
)
FURTHER_BACK: Final = Reason(
    code="further-back",
    message="Many sessions are ahead of this one; why it waits is told when it is nearer.",
)
EXACT_MAX: Final = 2_000
SECONDS_PER_SESSION: Final = 0.00002
_PENDING: Final = (
    "select id, resource_group, priority from sessions where status = 'PENDING'"
    " order by created_at, id"
)
_LEAVING: Final = (
    SessionScheduled,
    SessionTerminating,
    SessionTerminated,
    SessionCancelled,
    SessionFailed,
)


class Place(NamedTuple):
    """A pending session's place; positions start at 1."""

    session_id: str
    position: int
    entry: QueueEntry | None
    unknown: Reason = NOT_EXAMINED

    def members(self, now: datetime) -> dict[str, Any]:
        """Return what the session's document gains; a start that is past was no good estimate."""
        start = self.entry.estimated_start if self.entry is not None else None
        if start is not None and start.high < now:
            start = None
        reason = self.entry.reason if self.entry is not None else self.unknown
        return {
            "position": self.position,
            "reason": msgspec.to_builtins(reason),
            "retries": self.entry.retries if self.entry is not None else 0,
            "estimated_start": msgspec.to_builtins(start),
        }


NO_PLACE: Final[dict[str, Any]] = {
    "position": None,
    "reason": None,
    "retries": None,
    "estimated_start": None,
}


class _Group:
    """One group's queue: who waits (with their priority), and what the scheduler has told."""

    def __init__(self) -> None:
        self.pending: dict[str, int] = {}
        self.told: dict[str, QueueEntry] = {}
        self.told_at = 0
        self.told_total = 0
        self.is_told = False
        self._of_priority: dict[int, dict[str, None]] = {}  # who waits, by arrival
        self._positions: dict[str, int] = {}
        self._is_dirty = True
        self._laid_out_at = 0.0

    def changed(self) -> None:
        """Note that the order may be another now."""
        self._is_dirty = True

    def enter(self, session_id: str, priority: int) -> None:
        """Let a session wait."""
        self.leave(session_id)
        self.pending[session_id] = priority
        self._of_priority.setdefault(priority, {})[session_id] = None
        self.changed()

    def leave(self, session_id: str) -> None:
        """Let a session wait no more, if it did."""
        priority = self.pending.pop(session_id, None)
        if priority is not None:
            same = self._of_priority[priority]
            del same[session_id]
            if not same:
                del self._of_priority[priority]
            self.changed()

    def forget(self) -> None:
        """Let nobody wait any more."""
        self.pending, self._of_priority = {}, {}
        self.changed()

    def order(self, now: float) -> list[str]:
        """Return who waits, in order."""
        positions = self._laid_out(now)
        waiting = [session_id for session_id in positions if session_id in self.pending]
        if len(waiting) < len(self.pending):
            waiting.extend(one for one in self.pending if one not in positions)
        return waiting

    def place(self, session_id: str, now: float) -> Place:
        """Return the place of one that waits; the last one when it came after the laying out."""
        position = self._laid_out(now).get(session_id)
        entry = self.told.get(session_id)
        if position is None:
            return Place(session_id, len(self.pending), entry)
        is_far_back = self.told_total > len(self.told)
        return Place(session_id, position, entry, FURTHER_BACK if is_far_back else NOT_EXAMINED)

    def _laid_out(self, now: float) -> dict[str, int]:
        """Return the positions; of a long queue at most as old as laying it out anew is worth."""
        age_s = now - self._laid_out_at
        count = len(self.pending)
        if self._is_dirty and (count <= EXACT_MAX or age_s > count * SECONDS_PER_SESSION):
            self._positions = self._lay_out()
            self._is_dirty = False
            self._laid_out_at = now
        return self._positions

    def _lay_out(self) -> dict[str, int]:
        order = [session_id for session_id in self.told if session_id in self.pending]
        for priority in sorted(self._of_priority, reverse=True):
            same = self._of_priority[priority]
            order.extend([session_id for session_id in same if session_id not in self.told])
        return dict(zip(order, range(1, len(order) + 1), strict=True))


class Queues:
    """Every group's queue, as the scheduler last told it and the log has it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._group_of: dict[str, str] = {}

    async def load(self, pool: asyncpg.Pool) -> None:
        """Read what is pending from the read models, in place of what was known."""
        rows = await pool.fetch(_PENDING)
        self._group_of = {}
        for group in self._groups.values():
            group.forget()
        for row in rows:
            self._enter(row["id"], row["resource_group"], row["priority"])

    def apply(self, recorded: Recorded) -> None:
        """Follow one event of the scheduler."""
        event = recorded.event
        if isinstance(event, SessionEnqueued):
            self._enter(event.session_id, event.resource_group, event.priority)
        elif isinstance(event, _LEAVING):
            self._leave(event.session_id)

    def tell(self, changed: QueueChanged) -> None:
        """Take over a group's order; an older pass than the last one is ignored."""
        group = self._group(changed.resource_group)
        if changed.position < group.told_at:
            return
        group.told = {entry.session_id: entry for entry in changed.entries}
        group.told_at = changed.position
        group.told_total = int(changed.detail.get("total", len(changed.entries)))
        group.is_told = True
        group.changed()

    def seed(self, name: str, queue: PendingQueue) -> None:
        """Take over the answer of the scheduler, unless a pass has been told since."""
        if not self.knows(name):
            told = QueueChanged(
                resource_group=name,
                position=queue.position,
                entries=queue.entries,
                detail={"total": queue.total},
            )
            self.tell(told)

    def knows(self, name: str) -> bool:
        """Tell whether the scheduler has told this group's order."""
        group = self._groups.get(name)
        return group is not None and group.is_told

    def group_of(self, session_id: str) -> str | None:
        """Return the group in whose queue a session waits, None when it does not wait."""
        return self._group_of.get(session_id)

    def groups(self) -> Iterable[str]:
        """Return the groups in which sessions wait."""
        return [name for name, group in self._groups.items() if group.pending]

    def count(self, name: str) -> int:
        """Return how many sessions wait in a group."""
        group = self._groups.get(name)
        return 0 if group is None else len(group.pending)

    def is_whole(self, name: str) -> bool:
        """Tell whether the scheduler has told a group's whole queue, and not just its first."""
        group = self._groups.get(name)
        return group is not None and group.is_told and group.told_total <= len(group.told)

    def front(self, name: str) -> list[Place]:
        """Return the first places of a group, as far as the scheduler has told them."""
        group = self._groups.get(name)
        if group is None:
            return []
        waiting = (entry for entry in group.told.values() if entry.session_id in group.pending)
        return [Place(entry.session_id, at, entry) for at, entry in enumerate(waiting, start=1)]

    def places(
        self,
        name: str,
        offset: int = 0,
        limit: int | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[list[Place], int]:
        """Return up to `limit` places of a group from `offset` (from 0) on, and how many in all.

        With `among`, only of those sessions; their positions count everyone's.
        """
        group = self._groups.get(name)
        if group is None:
            return [], 0
        now = self._clock.monotonic()
        order = group.order(now)
        if among is not None:
            order = [session_id for session_id in order if session_id in among]
        shown = order[offset:] if limit is None else order[offset : offset + limit]
        return [group.place(session_id, now) for session_id in shown], len(order)

    def place(self, session_id: str) -> Place | None:
        """Return a session's place, None when it does not wait."""
        name = self._group_of.get(session_id)
        if name is None:
            return None
        return self._groups[name].place(session_id, self._clock.monotonic())

    def _group(self, name: str) -> _Group:
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group()
        return group

    def _enter(self, session_id: str, name: str, priority: int) -> None:
        self._group(name).enter(session_id, priority)
        self._group_of[session_id] = name

    def _leave(self, session_id: str) -> None:
        name = self._group_of.pop(session_id, None)
        if name is not None:
            self._groups[name].leave(session_id)
