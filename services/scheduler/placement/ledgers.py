"""What each scope holds and may hold: keypairs, users, projects and domains, over all groups.

A scope is a word such as `keypair:AKIA…` or `project:<id>`. A session is charged to all of its
scopes when it gets a place and refunded when it is over; what waits for a limit is told as soon
as that lets it pass, and nobody asks it before.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from services.scheduler.placement.accounts import Account, Unspecified
from services.scheduler.placement.model import Waiting
from services.scheduler.placement.watchers import Needs
from shared.contracts.scheduler import Violation

REMEMBERED_BILLS_MAX: Final = 50_000


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
