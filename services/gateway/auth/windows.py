"""What one keypair has been granted in the last 900 s: moments and counts, oldest first."""

from array import array
from bisect import bisect_right
from datetime import datetime
from typing import Final

WINDOW_S: Final = 900
COARSE_S: Final = 0.1
_COMPACT_FROM: Final = 1_024


class Tally:
    """Requests by the moment (monotonic seconds) of their acceptance; it forgets what aged out.

    Requests within `resolution_s` share one entry, which ages out with the last of them: coarse
    entries never let more in, and hold a place for at most `resolution_s` too long.
    """

    __slots__ = ("_begun", "_first", "_moments", "_sums")

    def __init__(self) -> None:
        self._moments = array("d")
        self._sums = array("Q")  # how many up to and with each entry, for ever
        self._first = 0
        self._begun = 0.0

    def __len__(self) -> int:
        """Return how many entries are held, aged ones that were not swept yet included."""
        return len(self._moments)

    def count(self, now: float) -> int:
        """Forget what has aged out and return how many requests are left."""
        moments, first = self._moments, self._first
        size, horizon = len(moments), now - WINDOW_S
        while first < size and moments[first] <= horizon:
            first += 1
        self._first = first
        if first == size:
            if size:
                self._clear()
            return 0
        if first >= _COMPACT_FROM and first * 2 >= size:
            self._compact(first)
        return self._sums[-1] - self._before()

    def add(self, moment: float, count: int = 1, resolution_s: float = 0.0) -> None:
        """Take in requests accepted at `moment`, which is not before any other."""
        if self._moments and moment - self._begun < resolution_s:
            self._moments[-1] = moment
            self._sums[-1] += count
            return
        self._begun = moment
        self._sums.append((self._sums[-1] if self._sums else 0) + count)
        self._moments.append(moment)

    def aged_by(self, horizon: float) -> int:
        """Return how many requests of those that count now are not younger than `horizon`."""
        index = bisect_right(self._moments, horizon, self._first)
        return 0 if index == self._first else self._sums[index - 1] - self._before()

    def _before(self) -> int:
        return self._sums[self._first - 1] if self._first else 0

    def _clear(self) -> None:
        del self._moments[:], self._sums[:]
        self._first = 0

    def _compact(self, first: int) -> None:
        del self._moments[: first - 1], self._sums[: first - 1]  # one stays, for its sum
        self._first = 1


class Window:
    """One key's last 900 s: what this process has accepted, and what it heard of others."""

    __slots__ = ("others", "own", "reported_at", "used_at")

    def __init__(self) -> None:
        self.own = Tally()
        self.others = Tally()
        self.used_at: datetime | None = None
        self.reported_at: float | None = None

    def count(self, now: float) -> int:
        """Return how many requests count at this moment."""
        return self.own.count(now) + self.others.count(now)

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing is lost when this window is forgotten."""
        reported = self.reported_at is not None and now - self.reported_at < WINDOW_S
        return not reported and not self.count(now)

    def wait_s(self, now: float, needed: int) -> int:
        """Return after how many whole seconds `needed` of what counts now will have aged out."""
        low, high = 1, WINDOW_S
        while low < high:
            middle = (low + high) // 2
            horizon = now + middle - WINDOW_S
            if self.own.aged_by(horizon) + self.others.aged_by(horizon) >= needed:
                high = middle
            else:
                low = middle + 1
        return low
