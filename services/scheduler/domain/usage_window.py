"""What a session has used of late: a window of samples in sixty buckets, exact and bounded.

Shares are whole hundredths of a percent, times whole milliseconds; so sums never drift, and the
mean of a window is known without looking at its samples again. A window is exact to a sixtieth.
"""

from array import array
from collections.abc import Iterable, Mapping
from typing import Final

BUCKETS: Final = 60
GAP_MIN_MS: Final = 60_000
# A hole of two buckets in sixty hardly changes a mean; after a longer one it all begins anew.
GAP_BUCKETS: Final = 2


class UsageWindow:
    """Samples of all kernels of one session over the last `window_s` seconds."""

    def __init__(self, window_s: int) -> None:
        self.window_s = window_s
        self._width_ms = max(window_s * 1000 // BUCKETS, 1)
        self._gap_ms = max(GAP_BUCKETS * self._width_ms, GAP_MIN_MS)
        self._newest = 0
        self._rings: dict[str, _Ring] = {}
        self._series: dict[str, _Series] = {}

    @property
    def latest_ms(self) -> int:
        """When the last sample came; 0 before the first."""
        return max((one.last_ms for one in self._series.values()), default=0)

    def add(self, kernel_id: str, at_ms: int, measured_ms: int, shares: Mapping[str, int]) -> bool:
        """Take in what a kernel has used; False for what was told before.

        `at_ms` is when we heard of it and counts; `measured_ms` is the node's own time.
        """
        series = self._series.get(kernel_id)
        if series is None or at_ms - series.last_ms > self._gap_ms:
            self.go_on(kernel_id, at_ms, at_ms, measured_ms)
        elif measured_ms <= series.measured_ms:
            return False
        else:
            series.last_ms, series.measured_ms = max(at_ms, series.last_ms), measured_ms
        for resource, share in shares.items():
            self.put(resource, at_ms, share, 1)
        return True

    def full_at(self, kernel_ids: Iterable[str], now_ms: int) -> int | None:
        """Return from when on every kernel was measured for the whole window.

        None while one has never been measured, or not of late.
        """
        since = 0
        for kernel_id in kernel_ids:
            series = self._series.get(kernel_id)
            if series is None or now_ms - series.last_ms > self._gap_ms:
                return None
            since = max(since, series.since_ms)
        return since + self.window_s * 1000 if since else None

    def means(self, at_ms: int) -> dict[str, int]:
        """Return the mean share of each resource in the window that ends at a time, rounded down.

        The time is that of the last sample or a later one.
        """
        first = at_ms // self._width_ms - BUCKETS + 1
        gone = range(self._newest - BUCKETS + 1, min(first, self._newest + 1))
        found = {}
        for resource, ring in self._rings.items():
            total, count = ring.without(gone)
            if count:
                found[resource] = total // count
        return found

    def resized(self, window_s: int) -> "UsageWindow":
        """Return the same samples in a longer or shorter window.

        A bucket's samples count as if they all had come at its end.
        """
        other = UsageWindow(window_s)
        latest_ms = self.latest_ms
        for index in range(self._newest - BUCKETS + 1, self._newest + 1):
            end_ms = min((index + 1) * self._width_ms - 1, latest_ms)
            for resource, ring in self._rings.items():
                other.put(resource, end_ms, *ring.at(index))
        for kernel_id, one in self._series.items():
            other.go_on(kernel_id, one.since_ms, one.last_ms, one.measured_ms)
        return other

    def put(self, resource: str, at_ms: int, total: int, count: int) -> None:
        """Add shares whose sum and number are known; what is too old is left out."""
        index = at_ms // self._width_ms
        if count:
            self._advance(index)
        if count and index > self._newest - BUCKETS:
            ring = self._rings.get(resource)
            if ring is None:
                ring = self._rings[resource] = _Ring()
            ring.add(index, total, count)

    def go_on(self, kernel_id: str, since_ms: int, last_ms: int, measured_ms: int) -> None:
        """Note since when and until when a kernel was measured without a gap."""
        self._series[kernel_id] = _Series(since_ms, last_ms, measured_ms)

    def _advance(self, index: int) -> None:
        """Empty the buckets that have left the window."""
        if index <= self._newest:
            return
        for ring in self._rings.values():
            ring.clear(range(self._newest + 1, min(index, self._newest + BUCKETS) + 1))
        self._newest = index


class _Series:
    """Since when a kernel has been measured without a gap, until when, and by the node's time."""

    __slots__ = ("last_ms", "measured_ms", "since_ms")

    def __init__(self, since_ms: int, last_ms: int, measured_ms: int) -> None:
        self.since_ms = since_ms
        self.last_ms = last_ms
        self.measured_ms = measured_ms


class _Ring:
    """The buckets of one resource, and their sum."""

    __slots__ = ("_count", "_counts", "_sum", "_sums")

    def __init__(self) -> None:
        self._sums = array("q", bytes(8 * BUCKETS))
        self._counts = array("q", bytes(8 * BUCKETS))
        self._sum = 0
        self._count = 0

    def add(self, index: int, total: int, count: int) -> None:
        self._sums[index % BUCKETS] += total
        self._counts[index % BUCKETS] += count
        self._sum += total
        self._count += count

    def at(self, index: int) -> tuple[int, int]:
        return self._sums[index % BUCKETS], self._counts[index % BUCKETS]

    def clear(self, indexes: range) -> None:
        for index in indexes:
            total, count = self.at(index)
            self.add(index, -total, -count)

    def without(self, indexes: range) -> tuple[int, int]:
        total, count = self._sum, self._count
        for index in indexes:
            gone, samples = self.at(index)
            total, count = total - gone, count - samples
        return total, count
