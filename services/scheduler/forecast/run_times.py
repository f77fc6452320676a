"""How long sessions have run: a bounded sketch by user and image, folded from what has ended."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from math import log2
from typing import Final, TypeAlias

STEPS: Final = 4  # buckets to each doubling: a bucket is 19 % wide
KEYS_MAX: Final = 2_000
COUNT_MAX: Final = 512
ENOUGH: Final = 8
Key: TypeAlias = tuple[str, ...]


class Sketch:
    """How often which run time was seen; what is old counts ever less."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total = 0

    def add(self, seconds: float) -> None:
        """Take in one more run time."""
        self._counts[int(log2(max(seconds, 1.0)) * STEPS)] += 1
        self.total += 1
        if self.total > COUNT_MAX:
            self._counts = Counter({at: n // 2 for at, n in self._counts.items() if n > 1})
            self.total = self._counts.total()

    def copied(self) -> "Sketch":
        """Return an equal one."""
        other = Sketch()
        other._counts = self._counts.copy()
        other.total = self.total
        return other

    def quantile(self, part: float, elapsed_s: float = 0.0) -> float:
        """Return the run time that `part` of those stay below that run longer than `elapsed_s`.

        When none was seen to run for so long, as long again.
        """
        weights = [(at, self._beyond(at, elapsed_s)) for at in sorted(self._counts)]
        left = part * sum(weight for _, weight in weights)
        if left <= 0:
            return 2 * max(elapsed_s, 1.0)
        for at, weight in weights:
            if weight and left <= weight:
                low = max(2 ** (at / STEPS), elapsed_s)
                high = 2 ** ((at + 1) / STEPS)
                return float(low + (high - low) * left / weight)
            left -= weight
        return float(2 ** ((weights[-1][0] + 1) / STEPS))

    def _beyond(self, at: int, elapsed_s: float) -> float:
        """Return how many of a bucket run longer than so long."""
        low, high = 2 ** (at / STEPS), 2 ** ((at + 1) / STEPS)
        if elapsed_s <= low:
            return float(self._counts[at])
        return float(self._counts[at] * max(high - elapsed_s, 0.0) / (high - low))


class RunTimes:
    """The run times of one resource group, by user and image, by image, and in all."""

    def __init__(self) -> None:
        self._sketches: OrderedDict[Key, Sketch] = OrderedDict()
        self._all = Sketch()

    def observe(self, user: str, image: str, seconds: float) -> None:
        """Take in how long a session has run."""
        self._all.add(seconds)
        for key in ((user, image), (image,)):
            sketch = self._sketches.get(key)
            if sketch is None:
                sketch = self._sketches[key] = Sketch()
                if len(self._sketches) > KEYS_MAX:
                    self._sketches.popitem(last=False)
            self._sketches.move_to_end(key)
            sketch.add(seconds)

    def copied(self, kinds: Iterable[tuple[str, str]]) -> "RunTimes":
        """Return what is known of some users and images, for somebody who reads meanwhile."""
        other = RunTimes()
        other._all = self._all.copied()
        for user, image in kinds:
            for key in ((user, image), (image,)):
                sketch = self._sketches.get(key)
                if sketch is not None and key not in other._sketches:
                    other._sketches[key] = sketch.copied()
        return other

    @property
    def is_known(self) -> bool:
        """Tell whether enough was seen to say anything."""
        return self._all.total >= ENOUGH

    def of(self, user: str, image: str) -> Sketch:
        """Return what is known of the nearest kind of which enough was seen."""
        for key in ((user, image), (image,)):
            sketch = self._sketches.get(key)
            if sketch is not None and sketch.total >= ENOUGH:
                return sketch
        return self._all
