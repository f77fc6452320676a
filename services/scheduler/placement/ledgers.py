"""What each scope holds and may hold: keypairs, users, projects and domains, over all groups.

A scope is a word such as `keypair:AKIA…` or `project:<id>`. A session is charged to all of its
scopes when it gets a place and refunded when it is over; what waits for a limit is told as soon
as that lets it pass, and nobody asks it before.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from services.scheduler.placement.model import Waiting
from shared.contracts.scheduler import Violation
from shared.kernel.slots import render_amount

Needs: TypeAlias = tuple[tuple[str, int], ...]
Unspecified = Literal["limited", "unlimited"]

SESSIONS: Final = "sessions"
REMEMBERED_BILLS_MAX: Final = 50_000


class Watcher(Protocol):
    """Sessions alike, to which a limit is in the way or may come into the way."""

    def limit_lifted(self) -> None:
        """Note that the limit which they wait for lets them pass."""

    def limit_reached(self) -> None:
        """Note that a limit which let them pass does so no more."""


class Account:
    """What a scope holds, in slots and in sessions, and the limits on it; None is unlimited."""

    __slots__ = (
        "_is_limited",
        "_most",
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
        self.held: dict[Needs, set[Watcher]] = {}
        self.stuck: dict[Needs, set[Watcher]] = {}
        self.touched: set[str] | None = None  # where to note the scope when its use has changed
        self._slots: dict[str, int | None] = {}
        self._otherwise: int | None = None
        self._is_limited = False
        self._most: dict[str, int] = {}  # of each slot, what the greediest of the stuck needs

    def limit(
        self, slots: Mapping[str, int | None], default: Unspecified, max_sessions: int | None
    ) -> None:
        """Take over other limits, and tell those to whom they make a difference."""
        self._slots = dict(slots)
        self._otherwise = 0 if default == "limited" else None
        self.max_sessions = max_sessions
        self._is_limited = bool(slots) or default == "limited" or max_sessions is not None
        self._tell_reached()
        self._tell_lifted()

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
        for slot, amount in needs:
            ceiling = self._slots.get(slot, self._otherwise)
            if ceiling is not None and self.used.get(slot, 0) + amount > ceiling:
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

    def watch(self, needs: Needs, watcher: Watcher) -> None:
        """Tell a watcher, for which there is no room, when a limit comes into its way as well."""
        if not self.stuck:
            self._most.clear()
        same = self.stuck.get(needs)
        if same is None:
            same = self.stuck[needs] = set()
            for slot, amount in needs:
                self._most[slot] = max(amount, self._most.get(slot, 0))
        same.add(watcher)

    def charge(self, needs: Needs) -> None:
        """Add a session."""
        used = self.used
        for slot, amount in needs:
            used[slot] = used.get(slot, 0) + amount
        self.sessions += 1
        if self.touched is not None:
            self.touched.add(self.scope)
        if self.stuck and self._is_near():
            self._tell_reached()

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
            self._tell_lifted()

    def _is_near(self) -> bool:
        """Tell whether some of those that wait for room may be over a limit now."""
        return self._is_limited and not self.admits(tuple(self._most.items()))

    def _tell_lifted(self) -> None:
        for needs in [needs for needs in self.held if self.admits(needs)]:
            for watcher in self.held.pop(needs):
                watcher.limit_lifted()

    def _tell_reached(self) -> None:
        for needs in [needs for needs in self.stuck if not self.admits(needs)]:
            for watcher in self.stuck.pop(needs):
                watcher.limit_reached()


class Bill(NamedTuple):
    """What a session costs, and whom."""

    accounts: tuple[Account, ...]
    needs: Needs


class Ledgers:
    """The accounts of all scopes, and what every session that has a place is charged for."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._charged: dict[str, Bill] = {}
        self._bills: dict[tuple[tuple[str, ...], Needs], Bill] = {}

    def account(self, scope: str) -> Account:
        """Return the account of a scope; it begins empty and unlimited."""
        account = self._accounts.get(scope)
        if account is None:
            account = self._accounts[scope] = Account(scope)
        return account

    def set_limits(
        self,
        scope: str,
        slots: Mapping[str, int | None],
        default: Unspecified = "unlimited",
        max_sessions: int | None = None,
    ) -> None:
        """Limit a scope from now on; nothing that it holds already is taken away.

        None is unlimited, and 0 is nothing at all; `default` is for the slots that are not named.
        """
        self.account(scope).limit(slots, default, max_sessions)

    def bill(self, scopes: tuple[str, ...], needs: Needs) -> Bill:
        """Return what a session of these scopes and needs is charged; equal ones share it."""
        bill = self._bills.get((scopes, needs))
        if bill is None:
            if len(self._bills) >= REMEMBERED_BILLS_MAX:
                self._bills.clear()
            bill = Bill(tuple(self.account(scope) for scope in scopes), needs)
            self._bills[scopes, needs] = bill
        return bill

    def charge(self, session_id: str, bill: Bill) -> None:
        """Charge a session to its accounts; once only, however often it is said."""
        if session_id in self._charged:
            return
        self._charged[session_id] = bill
        for account in bill.accounts:
            account.charge(bill.needs)

    def refund(self, session_id: str) -> None:
        """Give back what a session was charged; nothing when it never had a place."""
        bill = self._charged.pop(session_id, None)
        if bill is not None:
            for account in bill.accounts:
                account.refund(bill.needs)

    def copied(
        self, scopes: Iterable[str] | None = None, charged: Iterable[str] | None = None
    ) -> "Ledgers":
        """Return ledgers of some scopes, None: of all, that change nothing here when charged.

        `charged` are the sessions that can be refunded there, None: all.
        """
        other = Ledgers()
        sessions = self._charged if charged is None else charged
        bills = {one: self._charged[one] for one in sessions if one in self._charged}
        wanted = set(self._accounts if scopes is None else scopes)
        wanted.update(account.scope for bill in bills.values() for account in bill.accounts)
        for scope in wanted & self._accounts.keys():
            other._accounts[scope] = self._accounts[scope].copied()
        for session_id, bill in bills.items():
            same = tuple(account.scope for account in bill.accounts)
            other._charged[session_id] = other.bill(same, bill.needs)
        return other

    def violations(self, session: Waiting) -> tuple[Violation, ...]:
        """Return every limit of its scopes that a session would exceed if it started now."""
        found: list[Violation] = []
        needs = session.shape.total()
        for scope in session.scopes:
            account = self._accounts.get(scope)
            if account is not None:
                found.extend(account.violations(needs))
        return tuple(found)

    def state(self) -> dict[str, tuple[int, dict[str, int]]]:
        """Return what each scope holds, in sessions and slots, as plain comparable values."""
        return {
            scope: (account.sessions, dict(account.used))
            for scope, account in self._accounts.items()
            if account.sessions
        }
