"""Who uses sessions, and how much they use: what the idle checks judge by.

It is told by telemetry and kept in memory only. A new leader begins with nothing: nobody counts as
unused from before it began, and every window has to fill anew. So a session may be ended later
than its limit says, never earlier.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from services.scheduler.domain import idleness
from services.scheduler.domain.idleness import Ending, IdleRules
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import Session
from services.scheduler.domain.usage_window import UsageWindow
from shared.contracts.kernels import KernelUsage
from shared.contracts.scheduler import CheckDetail, SessionCheck

# An open stream is told of every few seconds; missing one message must not end the session.
STREAM_HOLDS_S: Final = 15.0


class _Record:
    """What is known of one session in one attempt to run it."""

    __slots__ = ("attempt", "used_at", "window")

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.used_at: datetime | None = None
        self.window: UsageWindow | None = None


class IdleWatch:
    """The rules, the policies' own times by scope, and a record of each session told of."""

    def __init__(self) -> None:
        self.rules = IdleRules()
        self._timeouts: dict[str, int | None] = {}
        self._records: dict[str, _Record] = {}
        self._begun_at: datetime | None = None

    def begin(self, at: datetime) -> None:
        """Note when this leader began to listen."""
        self._begun_at = at

    def set_rules(self, rules: IdleRules) -> bool:
        """Take over what the settings say; tell whether that is new."""
        if rules == self.rules:
            return False
        self.rules = rules
        if rules.window_s is None:
            for record in self._records.values():
                record.window = None
        return True

    def set_timeout(self, scope: str, timeout_s: int | None) -> bool:
        """Take over what a keypair's policy says; tell whether that is new."""
        if self._timeouts.get(scope) == timeout_s:
            return False
        self._timeouts[scope] = timeout_s
        return True

    def used(self, session: Session, at: datetime, *, open_streams: int) -> None:
        """Note that somebody uses a session, or has a stream of it open."""
        if session.request.session_type != "interactive" or session.is_over:
            return
        if open_streams > 0:
            at += timedelta(seconds=STREAM_HOLDS_S)
        record = self._record(session)
        record.used_at = at if record.used_at is None else max(at, record.used_at)

    def measured(
        self, session: Session, started_at: datetime, usage: KernelUsage, at: datetime
    ) -> bool:
        """Note what a kernel uses; tell whether that was news that counts."""
        window_s = idleness.window_limit_s(self.rules, session, self._policy_s(session))
        kernel = session.kernel(usage.kernel_id)
        if window_s is None or kernel is None or session.status != "RUNNING":
            return False
        if at < idleness.counts_from(self.rules, started_at):
            return False
        record = self._record(session)
        if record.window is None:
            record.window = UsageWindow(window_s)
        window = _sized(record, record.window, window_s)
        shares = idleness.shares_of(kernel.requested, usage)
        return window.add(usage.kernel_id, _ms(at), _ms(usage.at), shares)

    def forget(self, session_id: str) -> None:
        """Forget a session that is over."""
        self._records.pop(session_id, None)

    def ending(self, session: Session, started_at: datetime, now: datetime) -> Ending | None:
        """Return when a running session is ended as idle if nothing changes."""
        if self.rules.network_timeout_s is None and self.rules.window_s is None:
            return None
        found = [
            one
            for one in (
                self._network_ending(session, started_at),
                self._use_ending(session, now),
            )
            if one is not None
        ]
        return min(found, default=None, key=lambda one: one.at)

    def checks(
        self, session: Session, started_at: datetime, now: datetime
    ) -> Sequence[SessionCheck]:
        """Return what the idle checks say of a running session."""
        checks = []
        limit_s = idleness.network_limit_s(self.rules, session, self._policy_s(session))
        if limit_s is not None:
            ending = self._network_ending(session, started_at)
            used_at = self._used_at(session, started_at)
            detail = CheckDetail(limit_s=limit_s, last_used_at=min(used_at, now))
            checks.append(
                SessionCheck(
                    check="network_timeout", ends_at=ending.at if ending else None, detail=detail
                )
            )
        window_s = idleness.window_limit_s(self.rules, session, self._policy_s(session))
        if window_s is not None:
            checks.append(self._use_check(session, window_s, now))
        return checks

    def _use_check(self, session: Session, window_s: int, now: datetime) -> SessionCheck:
        window = self._window(session, window_s)
        means: dict[str, int] = {}
        full_ms = None
        if window is not None:
            means = window.means(_ms(now))
            full_ms = window.full_at(_running(session), _ms(now))
        ending = self._use_ending(session, now)
        detail = CheckDetail(
            limit_s=window_s,
            operator=self.rules.operator,
            thresholds_percent=dict(self.rules.thresholds),
            measured_percent={
                name: share / idleness.PER_PERCENT
                for name, share in means.items()
                if name in self.rules.thresholds
            },
            judged_from=None if full_ms is None else _moment(full_ms),
        )
        return SessionCheck(
            check="utilization", ends_at=ending.at if ending else None, detail=detail
        )

    def _network_ending(self, session: Session, started_at: datetime) -> Ending | None:
        limit_s = idleness.network_limit_s(self.rules, session, self._policy_s(session))
        if limit_s is None:
            return None
        unused_from = self._used_at(session, started_at)
        return Ending(unused_from + timedelta(seconds=limit_s), "idle-timeout")

    def _use_ending(self, session: Session, now: datetime) -> Ending | None:
        """Return when too little use ends it; None as long as what is known is enough."""
        window_s = idleness.window_limit_s(self.rules, session, self._policy_s(session))
        window = None if window_s is None else self._window(session, window_s)
        if window is None:
            return None
        full_ms = window.full_at(_running(session), _ms(now))
        if full_ms is None:
            return None
        if not idleness.is_below(self.rules, window.means(window.latest_ms)):
            return None
        return Ending(_moment(max(full_ms, window.latest_ms)), "idle-utilization")

    def _used_at(self, session: Session, started_at: datetime) -> datetime:
        """Return when a session was used last, as far as this leader can have been told."""
        record = self._known(session)
        known = [started_at, self._begun_at, record.used_at if record else None]
        return max(at for at in known if at is not None)

    def _window(self, session: Session, window_s: int) -> UsageWindow | None:
        record = self._known(session)
        if record is None or record.window is None:
            return None
        return _sized(record, record.window, window_s)

    def _known(self, session: Session) -> _Record | None:
        record = self._records.get(session.session_id)
        return record if record is not None and record.attempt == session.attempt else None

    def _record(self, session: Session) -> _Record:
        record = self._known(session)
        if record is None:
            record = self._records[session.session_id] = _Record(session.attempt)
        return record

    def _policy_s(self, session: Session) -> int | None:
        access_key = session.request.access_key
        return None if access_key is None else self._timeouts.get(keypair_scope(access_key))


def _sized(record: _Record, window: UsageWindow, window_s: int) -> UsageWindow:
    """Return the window with the length that it shall have now."""
    if window.window_s != window_s:
        window = record.window = window.resized(window_s)
    return window


def _running(session: Session) -> list[str]:
    return [kernel.kernel_id for kernel in session.kernels if kernel.phase == "running"]


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
