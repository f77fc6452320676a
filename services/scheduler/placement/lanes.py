"""Waiting sessions that stand or fall together: of one shape, one user and the same limits."""

from typing import Protocol, TypeAlias

from services.scheduler.placement.accounts import Account
from services.scheduler.placement.ledgers import Bill
from services.scheduler.placement.model import Shape, Waiting
from services.scheduler.placement.sorted_keys import SortedLine

OrderKey: TypeAlias = tuple[int, int, str]
LaneKey: TypeAlias = tuple[Shape, str, tuple[str, ...]]


class Keeper(Protocol):
    """The queue that a lane belongs to."""

    def lifted(self, lane: "Lane") -> None:
        """Let a lane stand in line again."""

    def reached(self, lane: "Lane") -> None:
        """Look again at a lane that waits for room: now a limit is in its way."""


class Lane:
    """The sessions of a lane: those that block when they fail, and those that others may pass.

    While it is not shown, because a limit holds it for one, none of them stands in line.
    """

    __slots__ = (
        "_keeper",
        "accounts",
        "bill",
        "fresh",
        "held_by",
        "is_shown",
        "key",
        "overtaken",
        "shape",
        "user",
    )

    def __init__(self, key: LaneKey, bill: Bill, keeper: Keeper) -> None:
        self.key = key
        self.shape, self.user, _ = key
        self.accounts = bill.accounts[:-1]  # the last one is the user's share, which has no limit
        self.bill = bill
        self.held_by: Account | None = None
        self.is_shown = True
        self.fresh: SortedLine[OrderKey] = SortedLine()
        self.overtaken: SortedLine[OrderKey] = SortedLine()
        self._keeper = keeper

    def __len__(self) -> int:
        """Return how many sessions there are."""
        return len(self.fresh) + len(self.overtaken)

    def over(self) -> Account | None:
        """Return the first account whose limits don't admit one more of these sessions."""
        needs = self.bill.needs
        for account in self.accounts:
            if not account.admits(needs):
                return account
        return None

    def hold(self, account: Account) -> None:
        """Wait for an account."""
        self.held_by = account
        account.hold(self.bill.needs, self)

    def let_go(self) -> None:
        """Wait for no account any more."""
        if self.held_by is not None:
            self.held_by.held.discard(self.bill.needs, self)
            self.held_by = None

    def watch(self) -> None:
        """Ask to be told when a limit comes into the way."""
        for account in self.accounts:
            account.watch(self.bill.needs, self)

    def unwatch(self) -> None:
        """Ask no more."""
        for account in self.accounts:
            account.stuck.discard(self.bill.needs, self)

    def limit_lifted(self) -> None:
        """Note that the limit which holds the lane lets it pass."""
        self.held_by = None
        account = self.over()
        if account is None:
            self._keeper.lifted(self)
        else:
            self.hold(account)

    def limit_reached(self) -> None:
        """Note that a limit which let the lane pass does so no more."""
        self._keeper.reached(self)


class Entry:
    """A waiting session and how often it was tried in vain."""

    __slots__ = ("_offset", "key", "lane", "overtaken", "session", "tries")

    def __init__(self, session: Waiting, key: OrderKey, lane: Lane) -> None:
        self.session = session
        self.key = key
        self.lane = lane
        self.tries = 0
        self.overtaken = False
        self._offset = 0

    def overtake(self, counted: int) -> None:
        """Let others pass from now on; tries are `tries` plus what is counted from here."""
        self.overtaken = True
        self._offset = counted

    def tries_at(self, counted: int) -> int:
        """Return how often it was tried, given the count of its priority."""
        return self.tries + (counted - self._offset if self.overtaken else 0)

    def step_in(self, counted: int) -> None:
        """Let others pass no more; what was counted till here is kept."""
        self.tries = self.tries_at(counted)
        self.overtaken = False
