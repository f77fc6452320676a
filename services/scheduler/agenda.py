"""When something is due for a session although nothing happens: a queue of timers in memory.

It is derived from the log and from what the limits are now, so a new leader has the same one and
nothing about it needs to be stored. A time that moved is looked at again when it comes.
"""

import heapq
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from services.scheduler.domain.deadlines import HANG_TIMEOUT_S, Lifetime, due_at
from services.scheduler.domain.idleness import Ending, IdleRules
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import Session
from services.scheduler.idle_watch import IdleWatch
from services.scheduler.lifetimes import Lifetimes
from shared.contracts.kernels import EndReason, KernelUsage

SLACK: Final = 1024
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Due(NamedTuple):
    """A session that may start from now on, or that has stayed what it is for too long.

    One that runs is ended for a `reason`.
    """

    session: Session
    is_start: bool
    reason: EndReason | None = None


class Agenda:
    """The due times of live sessions. Sessions whose beginning was not told have none."""

    def __init__(
        self,
        sessions: Mapping[str, Session],
        hang_timeout_s: float = HANG_TIMEOUT_S,
        idle: IdleWatch | None = None,
    ) -> None:
        self.idle = idle or IdleWatch()
        self._sessions = sessions
        self._hang_timeout_s = hang_timeout_s
        self._since: dict[str, datetime] = {}
        self._first_ran: dict[str, datetime] = {}
        self._held_until: dict[str, datetime] = {}
        self._planned: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._pending_s: dict[str, int | None] = {}
        self._lifetimes = Lifetimes()
        self._running: dict[str, set[str]] = {}
        self._scopes: dict[str, str] = {}
        self._now = LONG_AGO

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
            # its lifetime goes on to count from when it ran first
            self._first_ran.setdefault(session_id, self._since[session_id])
        self._since[session_id] = at
        self._now = max(self._now, at)
        self._lifetimes.entered(session, at)
        if session.status == "RUNNING":
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
        self.idle.forget(session_id)
        self._lifetimes.closed(session)
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

    def set_lifetime(self, scope: str, lifetime: Lifetime) -> None:
        """Take over how long sessions of a keypair may live, for those that are there as well."""
        if not self._lifetimes.set(scope, lifetime):
            return
        for session_id in (*self._running.get(scope, ()), *self._lifetimes.waiting(scope)):
            self._plan(session_id)

    def set_idle_timeout(self, scope: str, timeout_s: int | None) -> None:
        """Take over how long a keypair's sessions may be idle, for those that run now as well."""
        if self.idle.set_timeout(scope, timeout_s):
            for session_id in self._running.get(scope, ()):
                self._plan(session_id)

    def set_idle_rules(self, rules: IdleRules) -> None:
        """Take over when sessions count as idle, for those that run now as well."""
        if self.idle.set_rules(rules):
            for session_id in self._scopes:
                self._plan(session_id)

    def measured(self, session: Session, usage: KernelUsage, at: datetime) -> None:
        """Note what a kernel uses."""
        started_at = self.running_since(session.session_id)
        self._now = max(self._now, at)
        if started_at is not None and self.idle.measured(session, started_at, usage, at):
            self._plan(session.session_id)

    def running_since(self, session_id: str) -> datetime | None:
        """Return since when a session runs; None when it does not."""
        return self._since.get(session_id) if session_id in self._scopes else None

    def lifetime_of(self, session_id: str) -> tuple[datetime, int] | None:
        """Return when the lifetime of a session is over, and how long it is, if it has an end."""
        ending = self._lifetime_ending(session_id)
        limit_s = self._lifetimes.of(self._sessions[session_id]).seconds if ending else None
        return None if ending is None or limit_s is None else (ending.at, limit_s)

    def take(self, now: datetime) -> Due | None:
        """Take the next session that something is due for; None when nothing is."""
        self._now = max(self._now, now)
        while self.is_due(now):
            _, session_id = heapq.heappop(self._heap)
            del self._planned[session_id]
            held_until = self._held_until.get(session_id)
            over = self._over(session_id)
            if held_until is not None and held_until <= now:
                del self._held_until[session_id]
                self._plan(session_id)
                return Due(self._sessions[session_id], is_start=True)
            if over is not None and over.at <= now:
                return Due(self._sessions[session_id], is_start=False, reason=over.reason)
            self._plan(session_id)
        return None

    def _plan(self, session_id: str) -> None:
        """See to it that a session is looked at when the next thing is due for it, or before."""
        over = self._over(session_id)
        due = None if over is None else over.at
        held_until = self._held_until.get(session_id)
        if held_until is not None and (due is None or held_until < due):
            due = held_until
        if due is None:
            return
        planned = self._planned.get(session_id)
        if planned is None or due < planned:
            self._planned[session_id] = due
            heapq.heappush(self._heap, (due, session_id))

    def _over(self, session_id: str) -> Ending | None:
        """Return when a session will have been what it is for too long."""
        since = self._since.get(session_id)
        if since is None:
            return None
        session = self._sessions[session_id]
        endings = [self._lifetime_ending(session_id)]
        if session.status == "RUNNING":
            endings.append(self.idle.ending(session, since, self._now))
        else:
            patience_s: float | None = self._hang_timeout_s
            if session.status == "PENDING":
                patience_s = self._pending_s.get(session.request.resource_group)
            at = due_at(session, since, patience_s)
            endings.append(None if at is None else Ending(at, None))
        known = (one for one in endings if one is not None)
        return min(known, default=None, key=lambda one: one.at)

    def _lifetime_ending(self, session_id: str) -> Ending | None:
        session = self._sessions.get(session_id)
        if session is None:
            return None
        started_at = self.running_since(session_id)
        if started_at is not None:
            started_at = self._first_ran.get(session_id, started_at)
        at = self._lifetimes.end_of(session, started_at)
        return None if at is None else Ending(at, "idle-session-lifetime")

    def _count_in(self, session: Session) -> None:
        """Keep who runs under which keypair, so that a changed policy finds them."""
        access_key = session.request.access_key
        scope = "" if access_key is None else keypair_scope(access_key)
        self._scopes[session.session_id] = scope
        self._running.setdefault(scope, set()).add(session.session_id)

    def _count_out(self, session_id: str) -> None:
        scope = self._scopes.pop(session_id, None)
        if scope is not None:
            running = self._running[scope]
            running.discard(session_id)
            if not running:
                del self._running[scope]
