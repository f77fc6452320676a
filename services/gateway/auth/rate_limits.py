"""The number of requests that each keypair may make in any 900 seconds.

Exact within one process: an accepted request counts from its own moment for 900 s. A refused one
does not count, so a caller gets in again as soon as its oldest request has aged out. (Above a
limit of 100,000, and without one, requests within 0.1 s share an entry and age out with the last
of them: that never lets more in.)

Several gateways tell each other what they accepted (`use_sharing`), at the latest 50 ms after the
first request that was not told yet, and at once when more than an eighth of what is left of a
limit is untold. So in any 900 s no more than

    limit + (what the other gateways accepted and this one has not heard of yet)

requests of a key pass: the untold ones of those 50 ms and what is on its way. With G gateways and
a limit L that is never more than G x L, whatever happens to the network between them.

What was accepted is in the database a second later (`use_store`). A process that starts takes all
of it as accepted by others, so a restart, also kill -9, forgets at most about the last second.

Memory: 16 bytes for each request accepted in the last 900 s, at most 100,000 entries for a key
(9,000 above), and a bounded number of keys.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from services.gateway.auth.windows import COARSE_S, WINDOW_S, Tally, Window
from shared.kernel.rejections import Rejection

__all__ = ["EXACT_MAX", "WINDOW_S", "Allowance", "RateLimits"]
EXACT_MAX: Final = 100_000
_KEYS_MAX: Final = 100_000
_SCAN_MAX: Final = 8

OnAccept = Callable[[str, int | None], None]
OnRefuse = Callable[[str, int], None]


class Allowance(NamedTuple):
    """What is left of a key's window; `limit` None is unlimited."""

    limit: int | None
    used: int
    rejection: Rejection | None = None

    @property
    def remaining(self) -> int | None:
        """How many more requests would be accepted now; None when unlimited."""
        return None if self.limit is None else max(0, self.limit - self.used)


class RateLimits:
    """Counts requests by access key; bounded in keys, of which idle ones are forgotten first.

    `on_accept` is told each accepted request (the key and what is left of its limit), `on_refuse`
    the first refused one of a burst (the key and its limit): once in 900 s at most.
    """

    def __init__(
        self,
        *,
        keys_max: int = _KEYS_MAX,
        on_accept: OnAccept | None = None,
        on_refuse: OnRefuse | None = None,
    ) -> None:
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._keys_max = keys_max
        self._on_accept = on_accept
        self._on_refuse = on_refuse

    def take(self, access_key: str, limit: int | None, now: float) -> Allowance:
        """Count one request of a key, or say why it is refused; `now` is monotonic seconds."""
        window = self._window(access_key, now)
        used = window.count(now)
        if limit is None:
            window.own.add(now, 1, COARSE_S)
        elif used < limit:
            window.own.add(now, 1, COARSE_S if limit > EXACT_MAX else 0.0)
        else:
            self._refused(access_key, window, limit, now)
            return Allowance(limit, used, _refusal(limit, window.wait_s(now, used - limit + 1)))
        if self._on_accept is not None:
            self._on_accept(access_key, None if limit is None else limit - used - 1)
        return Allowance(limit, used + 1)

    def hear(self, access_key: str, count: int, now: float) -> None:
        """Count requests that another gateway has accepted a moment ago."""
        self._window(access_key, now).others.add(now, count, COARSE_S)

    def restore(self, stored: Mapping[str, Iterable[tuple[float, int]]], now: float) -> None:
        """Take in what other processes have stored, by key as (age in seconds, count).

        It replaces what was heard of them where it is more: something was not heard then.
        """
        for access_key, entries in stored.items():
            others = Tally()
            for age_s, count in sorted(entries, reverse=True):
                others.add(now - max(0.0, age_s), count, COARSE_S)
            window = self._window(access_key, now)
            if others.count(now) > window.others.count(now):
                window.others = others

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

    def _window(self, access_key: str, now: float) -> Window:
        window = self._windows.get(access_key)
        if window is None:
            window = self._windows[access_key] = Window()
            self._forget_idle(now)
        else:
            self._windows.move_to_end(access_key)
        return window

    def _refused(self, access_key: str, window: Window, limit: int, now: float) -> None:
        reported_at = window.reported_at
        if reported_at is not None and now - reported_at < WINDOW_S:
            return
        window.reported_at = now
        if self._on_refuse is not None:
            self._on_refuse(access_key, limit)

    def _forget_idle(self, now: float) -> None:
        """Drop keys whose window is empty; a busy key is only dropped beyond the bound."""
        for _ in range(min(_SCAN_MAX, len(self._windows) - 1)):
            key, window = next(iter(self._windows.items()))
            if len(self._windows) <= self._keys_max and not window.is_idle(now):
                return
            del self._windows[key]


def _refusal(limit: int, retry_after_s: int) -> Rejection:
    return Rejection(
        kind="rate_limited",
        code="rate_limited",
        message=f"This keypair may make {limit} requests in {WINDOW_S} s; "
        f"the next one is accepted in {retry_after_s} s.",
        details={"limit": limit, "window": WINDOW_S},
        retry_after_s=retry_after_s,
    )
