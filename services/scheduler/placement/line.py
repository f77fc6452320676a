"""Waiting sessions in one line: first in, first out with the retries-to-skip rule, or last in.

Order: priority (high first), then age. The first session that fails for lack of capacity blocks
all behind it until it was tried `n` times; then it is *overtaken*: still tried first in every
pass, but no longer in the way. One over a limit of its own is never in anybody's way, and not
tried. One that no agent offers anything for is overtaken at once: no capacity that is freed could
help it. Last in, first out knows no retries: the youngest blocks the older ones until it fits.
"""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from services.scheduler.placement.lanes import Entry, Lane, OrderKey
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Placed, Shape, Waiting
from services.scheduler.placement.queue import Pass, Site, WaitingQueue
from services.scheduler.placement.sorted_keys import SortedKeys, SortedLine


class Line(WaitingQueue):
    """The queue of a group that places by age; `retries_to_skip` 0: nobody is ever passed over.

    Overtaken sessions are kept by shape, and their tries are counted a priority at a time, with
    every pass that comes as far as their priority.
    """

    def __init__(
        self,
        group: str,
        ledgers: Ledgers,
        site: Site,
        *,
        retries_to_skip: int,
        is_newest_first: bool = False,
    ) -> None:
        super().__init__(group, ledgers, site)
        self.retries_to_skip = retries_to_skip
        self.is_newest_first = is_newest_first
        self.blocker: Entry | None = None
        self._order: SortedKeys[OrderKey] = SortedKeys()
        self._fresh: SortedKeys[OrderKey] = SortedKeys()  # the first of every lane in line
        self._overtaken: dict[Shape, SortedKeys[OrderKey]] = {}  # likewise, by shape
        self._awake: set[Shape] = set()  # of these shapes, those that are not known to be parked
        self._overtaken_in: dict[int, int] = {}
        self._counted: dict[int, int] = {}

    def key_of(self, session: Waiting) -> OrderKey:
        """Return where a session stands in the line."""
        turn = -session.turn if self.is_newest_first else session.turn
        return (-session.priority, turn, session.session_id)

    def run(self, limit: int) -> Pass:
        """Place sessions in order until one blocks or `limit` are placed."""
        self._block(None)
        placed: list[Placed] = []
        heads: list[tuple[OrderKey, Entry]] = []
        self._awake = {shape for shape in self._awake if self._is_tried(shape)}
        for shape in self._awake:
            self._push_head(heads, shape)
        heapify(heads)
        while len(placed) < limit:
            entry = self._next(heads)
            if entry is None:
                self._count(None)
                return Pass(tuple(placed), finished=True)
            account = entry.lane.over()
            if account is not None:
                self._hide(entry.lane)
                entry.lane.hold(account)
                found = None
            else:
                found = self._site.place(entry)
            if found is not None:
                placed.append(found)
                self.discard(entry.session.session_id)
            elif account is None and not entry.overtaken:
                if self._site.offers(entry.lane.shape):
                    self._block(entry)
                    self._count(entry)
                    return Pass(tuple(placed), finished=True)
                self._overtake(entry)
            if entry.overtaken:
                self._push_head(heads, entry.lane.shape)
        self.due = True
        return Pass(tuple(placed), finished=False)

    def stand_down(self) -> None:
        """Note that there is nothing to be tried at all."""
        self._block(None)

    def wake(self, shapes: Iterable[Shape]) -> None:
        """Let shapes be tried again that are parked no more."""
        for shape in shapes:
            self._awake.add(shape)
            self.due = True

    def look_again(self) -> None:
        """Note that the agents are others, and with them what anybody offers."""
        self.due = True

    def lifted(self, lane: Lane) -> None:
        """Let a lane stand in line again."""
        self._show(lane)
        first = lane.fresh.first()
        if lane.overtaken or first is None or self._is_before_blocker(first):
            self.due = True

    def reached(self, lane: Lane) -> None:  # noqa: ARG002  # there is but one that blocks
        """Look again: what blocks is now over a limit, and must not block any more."""
        self.due = True

    def tries(self, entry: Entry) -> int:
        """Return how often a session was tried in vain."""
        return entry.tries_at(self._counted.get(entry.session.priority, 0))

    def page(self, offset: int, limit: int) -> list[Entry]:
        """Return entries in order, from the one at `offset` (from 0)."""
        return [self.entries[key[2]] for key in self._order.page(offset, limit)]

    def __iter__(self) -> Iterator[Entry]:
        """Walk all entries in order."""
        for key in self._order:
            yield self.entries[key[2]]

    def wants_retry(self) -> bool:
        """Tell whether the blocker may yet be passed over, and there is somebody to pass it."""
        last = self._order.last()
        return (
            self.blocker is not None
            and self.retries_to_skip > 0
            and last is not None
            and last > self.blocker.key
        )

    def resume(self, overtaken: Iterable[str], hidden: Iterable[str], blocker: str | None) -> None:
        """Go on where another line stood: who was passed over, over a limit, or blocking."""
        for session_id in overtaken:
            self._overtake(self.entries[session_id])
        for session_id in hidden:
            lane = self.entries[session_id].lane
            account = lane.over() if lane.is_shown else None
            if account is not None:
                self._hide(lane)
                lane.hold(account)
        self._block(None if blocker is None else self.entries[blocker])

    def _is_before_blocker(self, key: OrderKey) -> bool:
        return self.blocker is None or self.blocker.overtaken or key < self.blocker.key

    def _block(self, entry: Entry | None) -> None:
        if self.blocker is not None:
            self.blocker.lane.unwatch()
        self.blocker = entry
        if entry is not None:
            entry.lane.watch()

    def _is_tried(self, shape: Shape) -> bool:
        return shape in self._overtaken and shape not in self.parked

    def _push_head(self, heads: list[tuple[OrderKey, Entry]], shape: Shape) -> None:
        same = self._overtaken.get(shape)
        key = same.first() if same and shape not in self.parked else None
        if key is not None:
            heappush(heads, (key, self.entries[key[2]]))

    def _next(self, heads: list[tuple[OrderKey, Entry]]) -> Entry | None:
        fresh = self._fresh.first()
        if heads and (fresh is None or heads[0][0] < fresh):
            return heappop(heads)[1]
        return None if fresh is None else self.entries[fresh[2]]

    def _count(self, blocker: Entry | None) -> None:
        """Count a finished pass, and the failed try of what blocks: maybe the last that does."""
        for priority, count in self._overtaken_in.items():
            if count and (blocker is None or priority >= blocker.session.priority):
                self._counted[priority] = self._counted.get(priority, 0) + 1
        if blocker is not None:
            blocker.tries += 1
            if 0 < self.retries_to_skip <= blocker.tries:
                self._overtake(blocker)

    def _overtake(self, entry: Entry) -> None:
        priority, lane = entry.session.priority, entry.lane
        _take(self._fresh, lane.fresh, entry.key, is_shown=True)
        self._awake.add(lane.shape)
        _put(self._overtaken.setdefault(lane.shape, SortedKeys()), lane.overtaken, entry.key)
        self._overtaken_in[priority] = self._overtaken_in.get(priority, 0) + 1
        entry.overtake(self._counted.get(priority, 0))

    def _arrived(self, entry: Entry) -> None:
        self._order.add(entry.key)
        lane = entry.lane
        if not lane.is_shown:
            lane.fresh.add(entry.key)
            return
        _put(self._fresh, lane.fresh, entry.key)
        # behind a blocked head nothing changes
        if self._is_before_blocker(entry.key):
            self.due = True

    def _left(self, entry: Entry) -> None:
        if entry is self.blocker:
            self._block(None)
            self.due = True
        self._order.remove(entry.key)
        lane = entry.lane
        if not entry.overtaken:
            _take(self._fresh, lane.fresh, entry.key, is_shown=lane.is_shown)
            return
        self._overtaken_in[entry.session.priority] -= 1
        heads = self._overtaken.setdefault(lane.shape, SortedKeys())
        _take(heads, lane.overtaken, entry.key, is_shown=lane.is_shown)
        if not heads:
            del self._overtaken[lane.shape]

    def _hide(self, lane: Lane) -> None:
        """Take a lane out of the line."""
        lane.is_shown = False
        first = lane.fresh.first()
        if first is not None:
            self._fresh.remove(first)
        first = lane.overtaken.first()
        if first is not None:
            heads = self._overtaken[lane.shape]
            heads.remove(first)
            if not heads:
                del self._overtaken[lane.shape]

    def _show(self, lane: Lane) -> None:
        lane.is_shown = True
        first = lane.fresh.first()
        if first is not None:
            self._fresh.add(first)
        first = lane.overtaken.first()
        if first is not None:
            self._awake.add(lane.shape)
            self._overtaken.setdefault(lane.shape, SortedKeys()).add(first)


def _put(heads: SortedKeys[OrderKey], line: SortedLine[OrderKey], key: OrderKey) -> None:
    """Add a key to a lane, and to the heads when it is the lane's first."""
    first = line.first()
    line.add(key)
    if first is None:
        heads.add(key)
    elif key < first:
        heads.remove(first)
        heads.add(key)


def _take(
    heads: SortedKeys[OrderKey], line: SortedLine[OrderKey], key: OrderKey, *, is_shown: bool
) -> None:
    """Remove a key from a lane, and from the heads when it was the lane's first."""
    was_first = line.first() == key
    line.remove(key)
    if was_first and is_shown:
        heads.remove(key)
        following = line.first()
        if following is not None:
            heads.add(following)
