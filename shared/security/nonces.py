"""Remembers the nonces of signed requests for as long as their signatures are fresh."""

from collections.abc import Callable
from typing import Final, Literal

BUCKET_S: Final = 30
NonceVerdict = Literal["fresh", "used", "full"]
OnUse = Callable[[str, str, float, float], None]


class NonceCache:
    """Accepts each nonce of a key once; bounded in time by the window and in size, for each key.

    When it is full of nonces that still matter it says so instead of forgetting one; `per_key`
    keeps one key from filling it for all. It lives in one process: `since` (seconds since 1970,
    usually the start of the process) makes the verifier refuse what was signed before, as that may
    have been used with the process before this one.

    Processes that share their clients tell each other: `on_use(keyid, nonce, expires, now)` is
    called with each nonce taken here, `learn` takes in those of others.
    """

    def __init__(
        self,
        *,
        capacity: int = 262_144,
        per_key: int = 65_536,
        since: float | None = None,
        on_use: OnUse | None = None,
    ) -> None:
        self.since = since
        self._on_use = on_use
        self._capacity = capacity
        self._per_key = per_key
        self._size = 0
        self._seen: dict[str, set[str]] = {}
        self._buckets: dict[int, list[tuple[str, str]]] = {}
        self._swept = 0

    @property
    def size(self) -> int:
        """Return how many nonces are remembered."""
        return self._size

    def use(self, keyid: str, nonce: str, *, expires: float, now: float) -> NonceVerdict:
        """Take a nonce of an authentic request; it is remembered until `expires` (seconds)."""
        self._sweep(int(now) // BUCKET_S)
        used = self._seen.get(keyid, ())
        if nonce in used:
            return "used"
        if self._size >= self._capacity or len(used) >= self._per_key:
            return "full"
        self._remember(keyid, nonce, expires)
        if self._on_use is not None:
            self._on_use(keyid, nonce, expires, now)
        return "fresh"

    def learn(self, keyid: str, nonce: str, *, expires: float, now: float) -> bool:
        """Remember a nonce that was used elsewhere; False when there is no room for it."""
        self._sweep(int(now) // BUCKET_S)
        used = self._seen.get(keyid, ())
        if nonce in used:
            return True
        if self._size >= self._capacity or len(used) >= self._per_key:
            return False
        self._remember(keyid, nonce, expires)
        return True

    def _remember(self, keyid: str, nonce: str, expires: float) -> None:
        self._seen.setdefault(keyid, set()).add(nonce)
        self._size += 1
        self._buckets.setdefault(int(expires) // BUCKET_S, []).append((keyid, nonce))

    def _sweep(self, current: int) -> None:
        if current == self._swept:
            return
        self._swept = current
        for bucket in [bucket for bucket in self._buckets if bucket < current]:
            for keyid, nonce in self._buckets.pop(bucket):
                self._forget(keyid, nonce)

    def _forget(self, keyid: str, nonce: str) -> None:
        used = self._seen[keyid]
        used.discard(nonce)
        self._size -= 1
        if not used:
            del self._seen[keyid]
