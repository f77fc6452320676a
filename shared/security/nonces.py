"""Remembers the nonces of signed requests for as long as their signatures are fresh."""

from collections import defaultdict
from collections.abc import Callable
from typing import Final, Literal

BUCKET_S: Final = 30
NonceVerdict = Literal["fresh", "used", "full"]
OnUse = Callable[[str, str, float, float], None]


class _Bucket:
    """The nonces that may be forgotten at the same time, and how many each key has of them.

    Of a nonce only the hash is kept, keyed anew in each process by Python itself: nobody can aim
    at a collision, and among a million of them one in 10^13 requests meets one by chance.
    """

    __slots__ = ("by_key", "marks")

    def __init__(self) -> None:
        self.marks: set[int] = set()
        self.by_key: defaultdict[str, int] = defaultdict(int)


class NonceCache:
    """Accepts each nonce of a key once; bounded in time by the window and in size, for each key.

    When it is full of nonces that still matter it says so instead of forgetting one; `per_key`
    keeps one key from filling it for all. It lives in one process: `since` (seconds since 1970,
    usually the start of the process) makes the verifier refuse what was signed before, as that may
    have been used with the process before this one.

    Processes that share their clients tell each other: `on_use(keyid, nonce, expires, now)` is
    called with each nonce taken here, `learn` takes in those of others. A million of them, which
    is 3,500 requests a second, take about 100 MB.
    """

    def __init__(
        self,
        *,
        capacity: int = 1_048_576,
        per_key: int = 393_216,
        since: float | None = None,
        on_use: OnUse | None = None,
    ) -> None:
        self.since = since
        self._on_use = on_use
        self._capacity = capacity
        self._per_key = per_key
        self._size = 0
        self._buckets: dict[int, _Bucket] = {}
        self._swept = 0

    @property
    def size(self) -> int:
        """Return how many nonces are remembered."""
        return self._size

    def use(self, keyid: str, nonce: str, *, expires: float, now: float) -> NonceVerdict:
        """Take a nonce of an authentic request; it is remembered until `expires` (seconds)."""
        verdict = self._take(keyid, nonce, expires, now)
        if verdict == "fresh" and self._on_use is not None:
            self._on_use(keyid, nonce, expires, now)
        return verdict

    def learn(self, keyid: str, nonce: str, *, expires: float, now: float) -> bool:
        """Remember a nonce that was used elsewhere; False when there is no room for it."""
        return self._take(keyid, nonce, expires, now) != "full"

    def _take(self, keyid: str, nonce: str, expires: float, now: float) -> NonceVerdict:
        self._sweep(int(now) // BUCKET_S)
        mark, of_key = hash((keyid, nonce)), 0
        for bucket in self._buckets.values():  # a window holds some twenty of them
            if mark in bucket.marks:
                return "used"
            of_key += bucket.by_key.get(keyid, 0)
        if self._size >= self._capacity or of_key >= self._per_key:
            return "full"
        number = int(expires) // BUCKET_S
        bucket = self._buckets.setdefault(number, _Bucket())
        bucket.marks.add(mark)
        bucket.by_key[keyid] += 1
        self._size += 1
        return "fresh"

    def _sweep(self, current: int) -> None:
        if current == self._swept:
            return
        self._swept = current
        for number in [number for number in self._buckets if number < current]:
            self._size -= len(self._buckets.pop(number).marks)
