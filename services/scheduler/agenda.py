"""When something is due for a session although nothing happens: a queue of timers in memory.

It is derived from the log and from what the limits are now, so a new leader has the same one and
nothing about it needs to be stored. A time that moved is looked at again when it comes.
"""

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from services.scheduler.domain.deadlines import HANG_TIMEOUT_S, due_at
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import Session

SLACK: Final = 1024


class Due(NamedTuple):
    """A session that may start from now on, or that has stayed what it is for too long."""

    session: Session
    is_start: bool


class Agenda:
    """The due times of live sessions. Sessions whose beginning was not told have none."""

    def __init__(
        self, sessions: Mapping[str, Session], hang_timeout_s: float = HANG_TIMEOUT_S
    ) -> None:
        self._sessions = sessions
        self._hang_timeout_s = hang_timeout_s
        self._since: dict[str, datetime] = {}
        self._first_ran: dict[str, datetime] = {}
        self._held_until: dict[str, datetime] = {}
        self._planned: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._pending_s: dict[str, int | None] = {}
        self._lifetimes: dict[str, int | None] = {}
        self._running: dict[str, set[str]] = {}
        self._scopes: dict[str, str] = {}

    @property
    def next_at(self) -> datetime | None:
        """When something may be due next."""
        while self._heap and self._planned.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def is_due(self, now: datetime) -> bool:
        """Tell whether something may be due already."""
        next_at = self.next_at
        return next_at is not None and next_at <= now

    def entered(self, session: Session, at: datetime) -> None:
        """Note that a session has become what it is at a moment."""
        session_id = session.session_id
        if session.status == "RESTARTING" and session_id in self._since:
            # its time goes on to count from when it ran first
            self._first_ran[session_id] = self._since[session_id]
        self._since[session_id] = at
        if session.status == "RUNNING":
            self._since[session_id] = self._first_ran.get(session_id, at)
            self._count_in(session)
        else:
            self._count_out(session_id)
        starts_at = session.request.starts_at
        if session.status != "PENDING":
            self._held_until.pop(session_id, None)
        elif starts_at is not None and starts_at > at:
            self._held_until[session_id] = starts_at
        self._plan(session_id)

    def closed(self, session: Session) -> None:
        """Forget a session that is over."""
        session_id = session.session_id
        self._count_out(session_id)
        self._since.pop(session_id, None)
        self._first_ran.pop(session_id, None)
        self._held_until.pop(session_id, None)
        self._planned.pop(session_id, None)
        if len(self._heap) > 2 * len(self._planned) + SLACK:
            self._heap = [(at, key) for key, at in self._planned.items()]
            heapq.heapify(self._heap)

    def set_pending_timeout(
        self, group: str, timeout_s: int | None, waiting: Iterable[str]
    ) -> None:
        """Take over how long sessions may wait in a group, for those that wait now as well."""
        if self._pending_s.get(group) == timeout_s:
            return
        self._pending_s[group] = timeout_s
        for session_id in waiting:
            self._plan(session_id)

    def set_lifetime(self, scope: str, lifetime_s: int | None) -> None:
        """Take over how long sessions of a keypair may run, for those that run now as well."""
        if self._lifetimes.get(scope) == lifetime_s:
            return
        self._lifetimes[scope] = lifetime_s
        for session_id in self._running.get(scope, ()):
            self._plan(session_id)

    def take(self, now: datetime) -> Due | None:
        """Take the next session that something is due for; None when nothing is."""
        while self.is_due(now):
            _, session_id = heapq.heappop(self._heap)
            del self._planned[session_id]
            held_until = self._held_until.get(session_id)
            over_at = self._over_at(session_id)
            if held_until is not None and held_until <= now:
                del self._held_until[session_id]
                self._plan(session_id)
                return Due(self._sessions[session_id], is_start=True)
            if over_at is not None and over_at <= now:
                return Due(self._sessions[session_id], is_start=False)
            self._plan(session_id)
        return None

    def _plan(self, session_id: str) -> None:
        """See to it that a session is looked at when the next thing is due for it, or before."""
        due = self._over_at(session_id)
        held_until = self._held_until.get(session_id)
        if held_until is not None and (due is None or held_until < due):
            due = held_until
        if due is None:
            return
        planned = self._planned.get(session_id)
        if planned is None or due < planned:
            self._planned[session_id] = due
            heapq.heappush(self._heap, (due, session_id))

    def _over_at(self, session_id: str) -> datetime | None:
        since = self._since.get(session_id)
        if since is None:
            return None
        session = self._sessions[session_id]
        patience_s: float | None
        match session.status:
            case "PENDING":
                patience_s = self._pending_s.get(session.request.resource_group)
            case "RUNNING":
                patience_s = self._lifetimes.get(self._scopes.get(session_id, ""))
            case _:
                patience_s = self._hang_timeout_s
        return due_at(session, since, patience_s)

    def _count_in(self, session: Session) -> None:
        """Keep who runs under which keypair, so that a changed policy finds them."""
        access_key = session.request.access_key
        if access_key is not None:
            scope = self._scopes[session.session_id] = keypair_scope(access_key)
            self._running.setdefault(scope, set()).add(session.session_id)

    def _count_out(self, session_id: str) -> None:
        scope = self._scopes.pop(session_id, None)
        if scope is not None:
            running = self._running[scope]
            running.discard(session_id)
            if not running:
                del self._running[scope]
