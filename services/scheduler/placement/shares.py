"""Waiting sessions by dominant resource fairness: whoever holds least of the group is next.

A user's share is the largest part that he holds of any slot of the group. Of equal priorities the
session of the user with the least share comes first, then the oldest; after each placement the
shares are others (progressive filling). A user's own sessions keep their order: when his first
fits nowhere, he waits as a whole, and the next user is asked. Sessions over a limit, and those
that no agent offers anything for, are in nobody's way.
"""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from services.scheduler.placement.accounts import Account
from services.scheduler.placement.fair_line import FairLine, Standing
from services.scheduler.placement.fair_order import ClaimKey, Weights
from services.scheduler.placement.fair_pages import FairPages
from services.scheduler.placement.lanes import Entry, Lane, OrderKey
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Placed, Shape, Waiting
from services.scheduler.placement.queue import Pass, Site, WaitingQueue, share_scope
from services.scheduler.placement.sorted_keys import SortedLine


class _Claimant:
    """A user with all that waits, the first of each lane in line, and where he stands."""

    __slots__ = ("account", "blocked", "heads", "key", "lanes", "line")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.lanes: set[Lane] = set()
        self.heads: SortedLine[OrderKey] = SortedLine()
        self.blocked: Entry | None = None
        self.key: ClaimKey | None = None
        self.line = FairLine()


class Shares(WaitingQueue):
    """The queue of a group that places by shares."""

    def __init__(self, group: str, ledgers: Ledgers, site: Site) -> None:
        super().__init__(group, ledgers, site)
        self._weights = Weights()
        self._claimants: dict[str, _Claimant] = {}
        self._ready: list[tuple[ClaimKey, str]] = []
        self._blocked: dict[Shape, set[str]] = {}
        self._aside: dict[Shape, set[Lane]] = {}
        self._users: dict[str, str] = {}  # by the scope of their share
        self._touched: set[str] = set()
        self._passes = 0
        self._pages = FairPages()

    def key_of(self, session: Waiting) -> OrderKey:
        """Return where a session stands among those of its user."""
        return (-session.priority, session.turn, session.session_id)

    def run(self, limit: int) -> Pass:
        """Place sessions of whoever holds least until nobody is left or `limit` are placed."""
        self._weigh()
        placed: list[Placed] = []
        while len(placed) < limit:
            user = self._next()
            if user is None:
                self._passes += 1
                return Pass(tuple(placed), finished=True)
            claimant = self._claimants[user]
            entry = self._head(claimant)
            lane = entry.lane
            account = lane.over()
            if account is not None:
                self._hide(lane)
                lane.hold(account)
                continue
            found = self._site.place(entry)
            if found is not None:
                placed.append(found)
                self.discard(entry.session.session_id)
            elif self._site.offers(lane.shape):
                self._block(user, claimant, entry)
            else:
                self._hide(lane)
                self._aside.setdefault(lane.shape, set()).add(lane)
        self.due = True
        return Pass(tuple(placed), finished=False)

    def stand_down(self) -> None:
        """Note that there is nothing to be tried at all."""

    def wake(self, shapes: Iterable[Shape]) -> None:
        """Let shapes be tried again that are parked no more."""
        for shape in shapes:
            self._unblock_all(shape)

    def look_again(self) -> None:
        """Note that the agents are others, and with them what anybody offers."""
        self.due = True
        for shape in [shape for shape in self._aside if self._site.offers(shape)]:
            for lane in self._aside.pop(shape):
                self._show(lane)
        for shape in [shape for shape in self._blocked if not self._site.offers(shape)]:
            self._unblock_all(shape)

    def lifted(self, lane: Lane) -> None:
        """Let a lane stand in line again."""
        self._show(lane)

    def reached(self, lane: Lane) -> None:
        """Ask a user again whose first is now over a limit: it is in the way of his others."""
        claimant = self._claimants[lane.user]
        self._unblock(lane.user, claimant)

    def tries(self, entry: Entry) -> int:
        """Return how often a session was tried in vain."""
        return entry.tries_at(self._passes)

    def waits_for_own(self, entry: Entry) -> bool:
        """Tell whether a session stands behind one of its own user that lacks resources."""
        blocked = self._claimants[entry.lane.user].blocked
        return blocked is not None and blocked.key < entry.key and entry.lane.is_shown

    def page(self, offset: int, limit: int) -> list[Entry]:
        """Return entries in the order of their turns, from the one at `offset` (from 0)."""
        self._weigh()
        for scope in self._touched:
            self._pages.changed(self._users[scope])
        found = self._pages.page(self._claimants, self._standing, offset, limit)
        return [self.entries[session_id] for session_id in found]

    def _standing(self, user: str) -> Standing | None:
        claimant = self._claimants.get(user)
        if claimant is None:
            return None
        return claimant.line.standing(claimant.lanes, claimant.account.used, self._weights.weights)

    def __iter__(self) -> Iterator[Entry]:
        """Walk all entries in order."""
        self._weigh()
        order: list[ClaimKey] = []
        for claimant in self._claimants.values():
            claims = sorted((key, lane.bill.needs) for lane in claimant.lanes for key in lane.fresh)
            order.extend(self._weights.claims(claimant.account.used, claims))
        for key in sorted(order):
            yield self.entries[key[3]]

    def _weigh(self) -> None:
        """Follow what there is in all: when that is something else, so is every share."""
        if self._weights.follow(self._site.capacity()):
            self._touched.update(self._users)

    def _head(self, claimant: _Claimant) -> Entry:
        key = claimant.heads.first()
        if key is None:
            raise KeyError(claimant.account.scope)
        return self.entries[key[2]]

    def _next(self) -> str | None:
        """Return the user who is next, None when nobody is."""
        for scope in self._touched:
            user = self._users[scope]
            self._pages.changed(user)
            self._rank(user)
        self._touched.clear()
        ready = self._ready
        while ready:
            key, user = ready[0]
            claimant = self._claimants.get(user)
            if claimant is not None and claimant.key == key:
                return user
            heappop(ready)
        return None

    def _rank(self, user: str) -> None:
        """Put a user where he belongs now; nowhere when he has nothing to be tried."""
        claimant = self._claimants.get(user)
        if claimant is None:
            return
        first = claimant.heads.first()
        if first is None or claimant.blocked is not None:
            claimant.key = None
            return
        share = self._weights.share(claimant.account.used)
        key = (first[0], share, first[1], first[2])
        if key == claimant.key:
            return
        claimant.key = key
        heappush(self._ready, (key, user))
        if len(self._ready) > 2 * len(self._claimants) + 64:
            self._ready = [
                (claimant.key, name)
                for name, claimant in self._claimants.items()
                if claimant.key is not None
            ]
            heapify(self._ready)

    def _touch(self, claimant: _Claimant) -> None:
        self._touched.add(claimant.account.scope)

    def _block(self, user: str, claimant: _Claimant, entry: Entry) -> None:
        claimant.blocked = entry
        claimant.key = None
        entry.overtake(self._passes)
        entry.lane.watch()
        self._blocked.setdefault(entry.lane.shape, set()).add(user)

    def _unblock(self, user: str, claimant: _Claimant) -> None:
        entry = claimant.blocked
        if entry is None:
            return
        claimant.blocked = None
        entry.step_in(self._passes)
        entry.lane.unwatch()
        same = self._blocked[entry.lane.shape]
        same.discard(user)
        if not same:
            del self._blocked[entry.lane.shape]
        self._touch(claimant)
        self.due = True

    def _unblock_all(self, shape: Shape) -> None:
        for user in tuple(self._blocked.get(shape, ())):
            self._unblock(user, self._claimants[user])

    def _claimant(self, user: str) -> _Claimant:
        claimant = self._claimants.get(user)
        if claimant is None:
            scope = share_scope(self._group, user)
            account = self._ledgers.account(scope)
            account.touched = self._touched
            self._users[scope] = user
            claimant = self._claimants[user] = _Claimant(account)
        return claimant

    def _arrived(self, entry: Entry) -> None:
        claimant = self._claimant(entry.lane.user)
        lane = entry.lane
        claimant.lanes.add(lane)
        claimant.line.came(entry.key, lane.bill.needs)
        self._pages.changed(lane.user)
        first = lane.fresh.first()
        lane.fresh.add(entry.key)
        if lane.is_shown and (first is None or entry.key < first):
            if first is not None:
                claimant.heads.remove(first)
            self._stand(claimant, entry.key)

    def _stand(self, claimant: _Claimant, key: OrderKey) -> None:
        """Put the first of a lane in line; nothing changes behind one that waits for room."""
        claimant.heads.add(key)
        blocked = claimant.blocked
        if blocked is None:
            self._touch(claimant)
            self.due = True
        elif key < blocked.key:
            self._unblock(blocked.lane.user, claimant)

    def _left(self, entry: Entry) -> None:
        lane = entry.lane
        claimant = self._claimants[lane.user]
        if entry is claimant.blocked:
            self._unblock(lane.user, claimant)
        claimant.line.left(entry.key)
        self._pages.changed(lane.user)
        was_first = lane.fresh.first() == entry.key
        lane.fresh.remove(entry.key)
        following = lane.fresh.first()
        if was_first and lane.is_shown:
            claimant.heads.remove(entry.key)
            if following is not None:
                claimant.heads.add(following)
            self._touch(claimant)
        if following is not None:
            return
        if lane.shape in self._aside:
            self._aside[lane.shape].discard(lane)
            if not self._aside[lane.shape]:
                del self._aside[lane.shape]
        claimant.lanes.discard(lane)
        if not claimant.lanes:
            self._forget(lane.user, claimant)

    def _forget(self, user: str, claimant: _Claimant) -> None:
        claimant.account.touched = None
        self._touched.discard(claimant.account.scope)
        del self._users[claimant.account.scope]
        del self._claimants[user]

    def _hide(self, lane: Lane) -> None:
        lane.is_shown = False
        claimant = self._claimants[lane.user]
        first = lane.fresh.first()
        if first is not None:
            claimant.heads.remove(first)
        self._touch(claimant)

    def _show(self, lane: Lane) -> None:
        lane.is_shown = True
        first = lane.fresh.first()
        if first is not None:
            self._stand(self._claimants[lane.user], first)
