"""The order in which pending sessions will be placed, and why each waits.

The scheduler tells a group's whole queue after a pass. Which sessions are pending at all is known
from the log: the two are laid over each other, so a session that was just enqueued is shown at
once and one that was just placed is not, whatever the last message said.
"""

from collections.abc import Iterable
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

NOT_EXAMINED: Final = Reason(
    code="not_examined_yet", message="The scheduler has not looked at this session yet."
)
_PENDING: Final = (
    "select id, resource_group from sessions where status = 'PENDING' order by created_at, id"
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

    def members(self) -> dict[str, Any]:
        """Return what the session's document gains."""
        reason = self.entry.reason if self.entry is not None else NOT_EXAMINED
        return {
            "position": self.position,
            "reason": msgspec.to_builtins(reason),
            "retries": self.entry.retries if self.entry is not None else 0,
            "estimated_start": self.entry.estimated_start if self.entry is not None else None,
        }


NO_PLACE: Final[dict[str, Any]] = {
    "position": None,
    "reason": None,
    "retries": None,
    "estimated_start": None,
}


class Queues:
    """Every group's queue, as the scheduler last told it and the log has it."""

    def __init__(self) -> None:
        self._pending: dict[str, dict[str, None]] = {}
        self._group_of: dict[str, str] = {}
        self._told: dict[str, dict[str, QueueEntry]] = {}
        self._told_at: dict[str, int] = {}
        self._places: dict[str, dict[str, Place]] = {}

    async def load(self, pool: asyncpg.Pool) -> None:
        """Read what is pending from the read models, in place of what was known."""
        rows = await pool.fetch(_PENDING)
        self._pending, self._group_of, self._places = {}, {}, {}
        for row in rows:
            self._enter(row["id"], row["resource_group"])

    def apply(self, recorded: Recorded) -> None:
        """Follow one event of the scheduler."""
        event = recorded.event
        if isinstance(event, SessionEnqueued):
            self._enter(event.session_id, event.resource_group)
        elif isinstance(event, _LEAVING):
            self._leave(event.session_id)

    def tell(self, changed: QueueChanged) -> None:
        """Take over a group's order; an older pass than the last one is ignored."""
        group = changed.resource_group
        if changed.position < self._told_at.get(group, 0):
            return
        self._told_at[group] = changed.position
        self._told[group] = {entry.session_id: entry for entry in changed.entries}
        self._places.pop(group, None)

    def seed(self, group: str, queue: PendingQueue) -> None:
        """Take over the answer of the scheduler, unless a pass has been told since."""
        if group not in self._told:
            self.tell(
                QueueChanged(resource_group=group, position=queue.position, entries=queue.entries)
            )

    def knows(self, group: str) -> bool:
        """Tell whether the scheduler has told this group's order."""
        return group in self._told

    def group_of(self, session_id: str) -> str | None:
        """Return the group in whose queue a session waits, None when it does not wait."""
        return self._group_of.get(session_id)

    def groups(self) -> Iterable[str]:
        """Return the groups in which sessions wait."""
        return [group for group, pending in self._pending.items() if pending]

    def places(self, group: str) -> list[Place]:
        """Return a group's whole queue, in order."""
        return list(self._laid_out(group).values())

    def place(self, session_id: str) -> Place | None:
        """Return a session's place, None when it does not wait."""
        group = self._group_of.get(session_id)
        return None if group is None else self._laid_out(group).get(session_id)

    def _laid_out(self, group: str) -> dict[str, Place]:
        known = self._places.get(group)
        if known is None:
            pending = self._pending.get(group, {})
            told = self._told.get(group, {})
            order = [session_id for session_id in told if session_id in pending]
            order += [session_id for session_id in pending if session_id not in told]
            known = self._places[group] = {
                session_id: Place(session_id, position, told.get(session_id))
                for position, session_id in enumerate(order, start=1)
            }
        return known

    def _enter(self, session_id: str, group: str) -> None:
        self._pending.setdefault(group, {})[session_id] = None
        self._group_of[session_id] = group
        self._places.pop(group, None)

    def _leave(self, session_id: str) -> None:
        group = self._group_of.pop(session_id, None)
        if group is not None:
            self._pending[group].pop(session_id, None)
            self._places.pop(group, None)
