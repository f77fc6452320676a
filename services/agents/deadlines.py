"""When each agent will be taken to be lost: a queue of moments on a monotonic clock."""

import heapq


class Deadlines:
    """Moments by key; setting one again replaces it. Seconds of a monotonic clock."""

    def __init__(self) -> None:
        """Start with none."""
        self._due: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def set(self, key: str, due: float) -> None:
        """Let `key` be due at `due`; O(log n), and old entries are dropped as they surface."""
        self._due[key] = due
        heapq.heappush(self._queue, (due, key))
        if len(self._queue) > 64 + 4 * len(self._due):
            self._queue = [(moment, name) for name, moment in self._due.items()]
            heapq.heapify(self._queue)

    def drop(self, key: str) -> None:
        """Let `key` never be due."""
        self._due.pop(key, None)

    def next_due(self) -> float | None:
        """Return the earliest moment."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take_overdue(self, now: float) -> list[str]:
        """Return and drop the keys whose moment lies before `now`, the longest overdue first."""
        overdue = []
        while (due := self.next_due()) is not None and due < now:
            _, key = heapq.heappop(self._queue)
            del self._due[key]
            overdue.append(key)
        return overdue

    def postpone_all(self, due: float) -> None:
        """Give every key the same later moment."""
        for key in list(self._due):
            self.set(key, due)
