"""One group's waiting sessions in first-in-first-out order, with the retries-to-skip rule.

Order: priority (high first), then age. The first session that fails for lack of capacity blocks
all behind it until it was tried `n` times; then it is *overtaken*: still tried first in every
pass, but no longer in the way. So in one pass at most one session below `n` fails, and the
overtaken ones of a priority are always its oldest. One that no agent offers anything for is
overtaken at once: no capacity that is freed could help it. Overtaken sessions are kept by shape,
and their tries are counted a priority at a time: a pass costs nothing for a shape known not to
fit.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from services.scheduler.placement.model import Shape, Waiting
from services.scheduler.placement.sorted_keys import SortedKeys

OrderKey: TypeAlias = tuple[int, int, str]


class Entry:
    """A waiting session and how often it was tried in vain."""

    __slots__ = ("_offset", "key", "overtaken", "session", "tries")

    def __init__(self, session: Waiting) -> None:
        self.session = session
        self.key: OrderKey = (-session.priority, session.turn, session.session_id)
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


class FifoQueue:
    """The waiting sessions of a group."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.parked: set[Shape] = set()
        self._order: SortedKeys[OrderKey] = SortedKeys()
        self._fresh: SortedKeys[OrderKey] = SortedKeys()
        self._overtaken: dict[Shape, SortedKeys[OrderKey]] = {}
        self._overtaken_in: dict[int, int] = {}
        self._counted: dict[int, int] = {}
        self._of_shape: dict[Shape, int] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.entries)

    def add(self, session: Waiting) -> Entry:
        """Put a session in its place."""
        entry = Entry(session)
        self.entries[session.session_id] = entry
        self._order.add(entry.key)
        self._fresh.add(entry.key)
        self._of_shape[session.shape] = self._of_shape.get(session.shape, 0) + 1
        return entry

    def discard(self, session_id: str) -> Entry | None:
        """Take a session out; None if it isn't waiting."""
        entry = self.entries.pop(session_id, None)
        if entry is None:
            return None
        self._order.remove(entry.key)
        shape = entry.session.shape
        self._of_shape[shape] -= 1
        if not self._of_shape[shape]:
            del self._of_shape[shape]
            self.parked.discard(shape)
        if entry.overtaken:
            same = self._overtaken[shape]
            same.remove(entry.key)
            if not same:
                del self._overtaken[shape]
            self._overtaken_in[entry.session.priority] -= 1
        else:
            self._fresh.remove(entry.key)
        return entry

    def first_fresh(self) -> Entry | None:
        """Return the first session that still blocks when it fails."""
        key = self._fresh.first()
        return None if key is None else self.entries[key[2]]

    def first_overtaken(self, shape: Shape) -> Entry | None:
        """Return the first overtaken session of a shape."""
        same = self._overtaken.get(shape)
        key = same.first() if same else None
        return None if key is None else self.entries[key[2]]

    def awake(self) -> list[Shape]:
        """Return the shapes of overtaken sessions that may fit now."""
        return [shape for shape in self._overtaken if shape not in self.parked]

    def tried(self, entry: Entry, retries_to_skip: int) -> None:
        """Count a failed try of a session that blocks; it may be the last for which it does."""
        entry.tries += 1
        if 0 < retries_to_skip <= entry.tries:
            self._overtake(entry, self._counted.get(entry.session.priority, 0))

    def step_aside(self, entry: Entry) -> None:
        """Let others pass a session that can't be helped by waiting; counted with this pass."""
        self._overtake(entry, self._counted.get(entry.session.priority, 0))

    def passed(self, blocker: Entry | None) -> None:
        """Count a finished pass for the overtaken sessions before its blocker (all without)."""
        for priority, count in self._overtaken_in.items():
            if count and (blocker is None or priority >= blocker.session.priority):
                self._counted[priority] = self._counted.get(priority, 0) + 1

    def tries(self, entry: Entry) -> int:
        """Return how often a session was tried in vain."""
        return entry.tries_at(self._counted.get(entry.session.priority, 0))

    def _overtake(self, entry: Entry, counted: int) -> None:
        priority = entry.session.priority
        self._fresh.remove(entry.key)
        self._overtaken.setdefault(entry.session.shape, SortedKeys()).add(entry.key)
        self._overtaken_in[priority] = self._overtaken_in.get(priority, 0) + 1
        entry.overtake(counted)

    def wake(self, fits: Callable[[Shape], bool]) -> bool:
        """Let shapes be tried again for which `fits` says they might; tell whether any."""
        woken = [shape for shape in self.parked if fits(shape)]
        self.parked.difference_update(woken)
        return bool(woken)

    def page(self, offset: int, limit: int) -> list[Entry]:
        """Return entries in order, from the one at `offset` (from 0)."""
        return [self.entries[key[2]] for key in self._order.page(offset, limit)]

    def ends_behind(self, entry: Entry) -> bool:
        """Tell whether anyone waits behind an entry."""
        last = self._order.last()
        return last is not None and last > entry.key

    def __iter__(self) -> Iterator[Entry]:
        """Walk all entries in order."""
        for key in self._order:
            yield self.entries[key[2]]
