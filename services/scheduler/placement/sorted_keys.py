"""Sorted sequences of distinct keys: in chunks, and short ones that are used up from the front."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

CHUNK_MAX: Final = 512


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=_Ordered)


class SortedKeys(Generic[K]):
    """Keys in ascending order."""

    __slots__ = ("_chunks", "_lasts", "_size")

    def __init__(self) -> None:
        self._chunks: list[list[K]] = []
        self._lasts: list[K] = []
        self._size = 0

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._size

    def __iter__(self) -> Iterator[K]:
        """Walk in order; the keys must not change meanwhile."""
        for chunk in self._chunks:
            yield from chunk

    def first(self) -> K | None:
        """Return the least key."""
        return self._chunks[0][0] if self._chunks else None

    def last(self) -> K | None:
        """Return the greatest key."""
        return self._lasts[-1] if self._lasts else None

    def add(self, key: K) -> None:
        """Put a key that isn't there yet into its place."""
        self._size += 1
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._lasts[at] = chunk[-1]
        if len(chunk) > CHUNK_MAX:
            half = len(chunk) // 2
            self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
            self._lasts[at : at + 1] = [chunk[half - 1], chunk[-1]]

    def remove(self, key: K) -> None:
        """Take out a key; a key that isn't there is a bug."""
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        within = bisect_left(chunk, key)
        if chunk[within] != key:
            raise KeyError(key)
        del chunk[within]
        self._size -= 1
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at]
            del self._lasts[at]

    def page(self, offset: int, limit: int) -> list[K]:
        """Return up to `limit` keys from the one at `offset` (from 0) on."""
        found: list[K] = []
        for chunk in self._chunks:
            if offset >= len(chunk):
                offset -= len(chunk)
                continue
            found.extend(chunk[offset : offset + limit - len(found)])
            offset = 0
            if len(found) >= limit:
                break
        return found


class SortedLine(Generic[K]):
    """Keys in ascending order, of which the greatest come last and the least go first.

    Both cost next to nothing; a key that comes or goes in the middle costs a move of those behind.
    """

    __slots__ = ("_gone", "_keys")

    def __init__(self) -> None:
        self._keys: list[K] = []
        self._gone = 0  # how many of the keys at the front are not there any more

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._keys) - self._gone

    def __iter__(self) -> Iterator[K]:
        """Walk in order; the keys must not change meanwhile."""
        return islice(self._keys, self._gone, None)

    def first(self) -> K | None:
        """Return the least key."""
        return self._keys[self._gone] if self._gone < len(self._keys) else None

    def add(self, key: K) -> None:
        """Put a key that isn't there yet into its place."""
        insort(self._keys, key, lo=self._gone)

    def remove(self, key: K) -> None:
        """Take out a key; a key that isn't there is a bug."""
        keys = self._keys
        at = self._gone if keys[self._gone] == key else bisect_left(keys, key, lo=self._gone)
        if keys[at] != key:
            raise KeyError(key)
        if at > self._gone:
            del keys[at]
            return
        self._gone += 1
        if self._gone > len(keys) // 2:
            del keys[: self._gone]
            self._gone = 0
