"""Who is told when a limit lets them pass, or comes into their way.

Watchers of equal needs are told together. Their needs are ranked by how much they ask of the slots
that matter, so that a change of what is used costs those whom it concerns, not all that wait.
"""

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from services.scheduler.placement.sorted_keys import SortedKeys

Needs: TypeAlias = tuple[tuple[str, int], ...]


class Watcher(Protocol):
    """Sessions alike, to which a limit is in the way or may come into the way."""

    def limit_lifted(self) -> None:
        """Note that the limit which they wait for lets them pass."""

    def limit_reached(self) -> None:
        """Note that a limit which let them pass does so no more."""


class Watchers:
    """Watchers by what they need, and these needs by what they ask of a slot."""

    __slots__ = ("_by_needs", "_ranked_by", "_ranks")

    def __init__(self) -> None:
        self._by_needs: dict[Needs, set[Watcher]] = {}
        self._ranked_by: dict[Needs, Needs] = {}
        self._ranks: dict[str, SortedKeys[tuple[int, Needs]]] = {}

    def __bool__(self) -> bool:
        """Tell whether anybody is there."""
        return bool(self._by_needs)

    def __iter__(self) -> Iterator[Needs]:
        """Walk all needs; they may change meanwhile."""
        return iter(tuple(self._by_needs))

    def add(self, needs: Needs, watcher: Watcher) -> bool:
        """Let one more wait; tell whether its needs are new, and so have to be ranked."""
        same = self._by_needs.get(needs)
        if same is None:
            self._by_needs[needs] = {watcher}
            return True
        same.add(watcher)
        return False

    def rank(self, needs: Needs, by: Needs) -> None:
        """Let needs stand under the slots of `by` with the amounts there, and no others."""
        self._unrank(needs)
        self._ranked_by[needs] = by
        for slot, amount in by:
            ranks = self._ranks.get(slot)
            if ranks is None:
                ranks = self._ranks[slot] = SortedKeys()
            ranks.add((amount, needs))

    def discard(self, needs: Needs, watcher: Watcher) -> None:
        """Let one go, if it is there."""
        same = self._by_needs.get(needs)
        if same is not None:
            same.discard(watcher)
            if not same:
                self.take(needs)

    def take(self, needs: Needs) -> set[Watcher]:
        """Let all of equal needs go, and return them."""
        self._unrank(needs)
        return self._by_needs.pop(needs)

    def least(self, slot: str) -> tuple[int, Needs] | None:
        """Return who asks least of a slot, and how much."""
        ranks = self._ranks.get(slot)
        return None if ranks is None else ranks.first()

    def most(self, slot: str) -> tuple[int, Needs] | None:
        """Return who asks most of a slot, and how much."""
        ranks = self._ranks.get(slot)
        return None if ranks is None else ranks.last()

    def _unrank(self, needs: Needs) -> None:
        for slot, amount in self._ranked_by.pop(needs, ()):
            ranks = self._ranks[slot]
            ranks.remove((amount, needs))
            if not ranks:
                del self._ranks[slot]
