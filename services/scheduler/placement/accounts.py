"""What one scope holds and may hold, and who is told when that lets somebody pass or stops him."""

from collections.abc import Mapping
from typing import Final, Literal

from services.scheduler.placement.watchers import Needs, Watcher, Watchers
from shared.contracts.scheduler import Violation
from shared.kernel.slots import render_amount

Unspecified = Literal["limited", "unlimited"]

SESSIONS: Final = "sessions"


class Account:
    """What a scope holds, in slots and in sessions, and the limits on it; None is unlimited.

    `held` wait for a limit, each ranked by one that is in its way. `stuck` wait for room; they are
    ranked by every limited slot that they need, for `_calm`: how much of a slot may be used, or
    how many sessions there may be, before a limit comes into the way of any of them.
    """

    __slots__ = (
        "_calm",
        "_is_limited",
        "_otherwise",
        "_slots",
        "held",
        "max_sessions",
        "scope",
        "sessions",
        "stuck",
        "touched",
        "used",
    )

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.used: dict[str, int] = {}
        self.sessions = 0
        self.max_sessions: int | None = None
        self.held = Watchers()
        self.stuck = Watchers()
        self.touched: set[str] | None = None  # where to note the scope when its use has changed
        self._slots: dict[str, int | None] = {}
        self._otherwise: int | None = None
        self._is_limited = False
        self._calm: dict[str, int] = {}

    def limit(
        self, slots: Mapping[str, int | None], default: Unspecified, max_sessions: int | None
    ) -> None:
        """Take over other limits, and tell those to whom they make a difference."""
        self._slots = dict(slots)
        self._otherwise = 0 if default == "limited" else None
        self.max_sessions = max_sessions
        self._is_limited = bool(slots) or default == "limited" or max_sessions is not None
        self._calm.clear()
        for needs in self.stuck:
            if self.admits(needs):
                self._rank_stuck(needs)
            else:
                self._tell_reached(needs)
        for needs in self.held:
            self._hold_or_lift(needs)

    def copied(self) -> "Account":
        """Return an equal account that nobody waits for."""
        other = Account(self.scope)
        other.used = dict(self.used)
        other.sessions = self.sessions
        other.max_sessions = self.max_sessions
        other._slots = self._slots  # one's own kind; replaced, never changed
        other._otherwise = self._otherwise
        other._is_limited = self._is_limited
        return other

    def admits(self, needs: Needs) -> bool:
        """Tell whether one more session with these needs is within the limits."""
        if not self._is_limited:
            return True
        if self.max_sessions is not None and self.sessions >= self.max_sessions:
            return False
        ceilings, otherwise, used = self._slots, self._otherwise, self.used
        for slot, amount in needs:
            ceiling = ceilings.get(slot, otherwise)
            if ceiling is not None and used.get(slot, 0) + amount > ceiling:
                return False
        return True

    def violations(self, needs: Needs) -> tuple[Violation, ...]:
        """Return every limit that one more session with these needs would exceed."""
        found = []
        if self.max_sessions is not None and self.sessions >= self.max_sessions:
            found.append(
                Violation(
                    scope=self.scope,
                    slot=SESSIONS,
                    used=str(self.sessions),
                    requested="1",
                    limit=str(self.max_sessions),
                    short_by=str(self.sessions + 1 - self.max_sessions),
                )
            )
        for slot, amount in needs:
            ceiling = self._slots.get(slot, self._otherwise)
            used = self.used.get(slot, 0)
            if ceiling is not None and used + amount > ceiling:
                found.append(
                    Violation(
                        scope=self.scope,
                        slot=slot,
                        used=render_amount(slot, used),
                        requested=render_amount(slot, amount),
                        limit=render_amount(slot, ceiling),
                        short_by=render_amount(slot, used + amount - ceiling),
                    )
                )
        return tuple(found)

    def hold(self, needs: Needs, watcher: Watcher) -> None:
        """Tell a watcher, which a limit doesn't let pass, when it does."""
        if self.held.add(needs, watcher):
            self._hold_or_lift(needs)

    def watch(self, needs: Needs, watcher: Watcher) -> None:
        """Tell a watcher, for which there is no room, when a limit comes into its way as well."""
        if self.stuck.add(needs, watcher) and self._is_limited:
            self._rank_stuck(needs)

    def charge(self, needs: Needs) -> None:
        """Add a session."""
        used = self.used
        for slot, amount in needs:
            used[slot] = used.get(slot, 0) + amount
        self.sessions += 1
        if self.touched is not None:
            self.touched.add(self.scope)
        if self._calm:
            self._look_for_reached(needs)

    def refund(self, needs: Needs) -> None:
        """Take a session away."""
        used = self.used
        for slot, amount in needs:
            rest = used[slot] - amount
            if rest:
                used[slot] = rest
            else:
                del used[slot]
        self.sessions -= 1
        if self.touched is not None:
            self.touched.add(self.scope)
        if self.held:
            self._look_for_lifted(needs)

    def _obstacle(self, needs: Needs) -> tuple[str, int] | None:
        """Return one limit that is in the way of one more session, and how much of it is needed."""
        if self.max_sessions is not None and self.sessions >= self.max_sessions:
            return SESSIONS, 1
        for slot, amount in needs:
            ceiling = self._slots.get(slot, self._otherwise)
            if ceiling is not None and self.used.get(slot, 0) + amount > ceiling:
                return slot, amount
        return None

    def _hold_or_lift(self, needs: Needs) -> None:
        obstacle = self._obstacle(needs)
        if obstacle is not None:
            self.held.rank(needs, (obstacle,))
            return
        for watcher in self.held.take(needs):
            watcher.limit_lifted()

    def _look_for_lifted(self, refunded: Needs) -> None:
        """Tell those whom a limit lets pass now; others may have another one in their way."""
        held = self.held
        for slot in (SESSIONS, *(slot for slot, _ in refunded)):
            while (first := held.least(slot)) is not None and self._has_room(slot, first[0]):
                self._hold_or_lift(first[1])

    def _has_room(self, slot: str, amount: int) -> bool:
        if slot == SESSIONS:
            return self.max_sessions is None or self.sessions < self.max_sessions
        ceiling = self._slots.get(slot, self._otherwise)
        return ceiling is None or self.used.get(slot, 0) + amount <= ceiling

    def _rank_stuck(self, needs: Needs) -> None:
        limited = []
        for slot, amount in needs:
            ceiling = self._slots.get(slot, self._otherwise)
            if ceiling is not None:
                limited.append((slot, amount))
                calm = ceiling - amount
                if calm < self._calm.get(slot, calm + 1):
                    self._calm[slot] = calm
        self.stuck.rank(needs, tuple(limited))
        if self.max_sessions is not None:
            self._calm[SESSIONS] = self.max_sessions - 1

    def _look_for_reached(self, charged: Needs) -> None:
        """Tell those in whose way a limit is now."""
        calm = self._calm
        if self.sessions > calm.get(SESSIONS, self.sessions):
            calm.clear()
            for needs in self.stuck:
                self._tell_reached(needs)
            return
        for slot, _ in charged:
            used = self.used[slot]
            while used > calm.get(slot, used):
                self._calm_down(slot, used)

    def _calm_down(self, slot: str, used: int) -> None:
        """Tell who asks most of a slot if that is too much, and find out when it is the next."""
        ceiling = self._slots.get(slot, self._otherwise)
        most = self.stuck.most(slot)
        if most is None or ceiling is None:
            del self._calm[slot]
        elif used + most[0] > ceiling:
            self._tell_reached(most[1])
        else:
            self._calm[slot] = ceiling - most[0]

    def _tell_reached(self, needs: Needs) -> None:
        for watcher in self.stuck.take(needs):
            watcher.limit_reached()
