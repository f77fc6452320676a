"""The number of requests that each keypair may make in any 900 seconds.

Exact within one process: an accepted request counts from its own moment for 900 s. A refused one
does not count, so a caller gets in again as soon as its oldest request has aged out.
"""

from array import array
from collections import OrderedDict
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from shared.kernel.rejections import Rejection

WINDOW_S: Final = 900
_KEYS_MAX: Final = 50_000
_COMPACT_FROM: Final = 1_024
_SCAN_MAX: Final = 8


class Allowance(NamedTuple):
    """What is left of a key's window; `limit` None is unlimited."""

    limit: int | None
    used: int
    rejection: Rejection | None = None

    @property
    def remaining(self) -> int | None:
        """How many more requests would be accepted now; None when unlimited."""
        return None if self.limit is None else max(0, self.limit - self.used)


class _Window:
    """The moments (monotonic seconds) of one key's accepted requests, oldest first."""

    __slots__ = ("_first", "_moments", "used_at")

    def __init__(self) -> None:
        self._moments = array("d")
        self._first = 0
        self.used_at: datetime | None = None

    def count(self, now: float) -> int:
        """Forget what has aged out and return how many are left."""
        moments, first = self._moments, self._first
        while first < len(moments) and moments[first] <= now - WINDOW_S:
            first += 1
        if first >= _COMPACT_FROM and first * 2 >= len(moments):
            del moments[:first]
            first = 0
        self._first = first
        return len(moments) - first

    def add(self, now: float) -> None:
        self._moments.append(now)

    def free_in_s(self, now: float, limit: int) -> float:
        """Return after how many seconds one more fits under `limit` (at least 1)."""
        return self._moments[len(self._moments) - limit] + WINDOW_S - now


class RateLimits:
    """Counts requests by access key; bounded in keys, of which idle ones are forgotten first."""

    def __init__(self, *, keys_max: int = _KEYS_MAX) -> None:
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._keys_max = keys_max

    def take(self, access_key: str, limit: int | None, now: float) -> Allowance:
        """Count one request of a key, or say why it is refused; `now` is monotonic seconds."""
        window = self._windows.get(access_key)
        if window is None:
            window = self._windows[access_key] = _Window()
            self._forget_idle(now)
        self._windows.move_to_end(access_key)
        used = window.count(now)
        if limit is not None and used >= limit:
            wait_s = window.free_in_s(now, limit) if limit else float(WINDOW_S)
            return Allowance(limit, used, _refusal(limit, wait_s))
        window.add(now)
        return Allowance(limit, used + 1)

    def touch(self, access_key: str, at: datetime) -> None:
        """Note when a key was last used."""
        window = self._windows.get(access_key)
        if window is not None:
            window.used_at = at

    def last_used_at(self, access_key: str) -> datetime | None:
        """Return when a key was last used, as far as this process knows."""
        window = self._windows.get(access_key)
        return None if window is None else window.used_at

    def used(self, access_key: str, now: float) -> int:
        """Return how many requests of a key count at this moment."""
        window = self._windows.get(access_key)
        return 0 if window is None else window.count(now)

    def _forget_idle(self, now: float) -> None:
        """Drop keys whose window is empty; a busy key is only dropped beyond the bound."""
        for _ in range(min(_SCAN_MAX, len(self._windows) - 1)):
            key, window = next(iter(self._windows.items()))
            if window.count(now) and len(self._windows) <= self._keys_max:
                return
            del self._windows[key]


def _refusal(limit: int, wait_s: float) -> Rejection:
    retry_after_s = max(1, ceil(wait_s))
    return Rejection(
        kind="rate_limited",
        code="rate_limited",
        message=f"This keypair may make {limit} requests in {WINDOW_S} s; "
        f"the next one is accepted in {retry_after_s} s.",
        details={"limit": limit, "window": WINDOW_S},
        retry_after_s=retry_after_s,
    )
