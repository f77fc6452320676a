"""Shapes that were found not to fit, so that those are found fast for which there is room again.

Each stands under the slot of which it asks the largest part, so what is freed is compared with
those only that ask for no more of that slot: who asks for more than any agent has costs nothing.
"""

from collections.abc import Callable, Iterator, Mapping

from services.scheduler.placement.model import Shape
from services.scheduler.placement.sorted_keys import SortedKeys


class Parked:
    """Shapes that are not tried until something is freed that could hold a part of them."""

    __slots__ = ("_ranks", "_under")

    def __init__(self) -> None:
        self._under: dict[Shape, tuple[str, int]] = {}
        self._ranks: dict[str, SortedKeys[tuple[int, Shape]]] = {}

    def __contains__(self, shape: Shape) -> bool:
        """Tell whether a shape is parked."""
        return shape in self._under

    def __len__(self) -> int:
        """Return how many are parked."""
        return len(self._under)

    def __iter__(self) -> Iterator[Shape]:
        """Walk all of them; they must not change meanwhile."""
        return iter(self._under)

    def __repr__(self) -> str:
        """Return which they are, the same for the same ones."""
        return f"Parked({sorted(self._under)})"

    def add(self, shape: Shape, slot: str, amount: int) -> None:
        """Park a shape, for which one node must have free at least `amount` of a slot."""
        self.discard(shape)
        self._under[shape] = (slot, amount)
        ranks = self._ranks.get(slot)
        if ranks is None:
            ranks = self._ranks[slot] = SortedKeys()
        ranks.add((amount, shape))

    def discard(self, shape: Shape) -> None:
        """Forget a shape, if it is parked."""
        found = self._under.pop(shape, None)
        if found is not None:
            slot, amount = found
            ranks = self._ranks[slot]
            ranks.remove((amount, shape))
            if not ranks:
                del self._ranks[slot]

    def take(self, free: Mapping[str, int], fits: Callable[[Shape], bool]) -> list[Shape]:
        """Take out those for which so much free is enough, by their slot and by `fits`."""
        woken = [
            shape
            for slot, ranks in self._ranks.items()
            for shape in _up_to(ranks, free.get(slot, 0))
            if fits(shape)
        ]
        for shape in woken:
            self.discard(shape)
        return woken


def _up_to(ranks: SortedKeys[tuple[int, Shape]], most: int) -> Iterator[Shape]:
    for amount, shape in ranks:
        if amount > most:
            return
        yield shape
