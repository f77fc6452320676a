"""The order of shares: who comes before whom when every session finds room in its turn.

A user's share only grows as his sessions get their places, so each of them has a fixed place among
those of the others, and the queue is the merger of one sorted line a user.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from math import lcm
from typing import TypeAlias

from services.scheduler.placement.lanes import OrderKey
from services.scheduler.placement.queue import Capacity
from services.scheduler.placement.watchers import Needs

ClaimKey: TypeAlias = tuple[int, int, int, str]


class Weights:
    """Makes shares comparable in integers: every slot's use times a weight of that slot."""

    def __init__(self) -> None:
        self._capacity: Capacity = ()
        self._weights: tuple[tuple[str, int], ...] = ()

    def follow(self, capacity: Capacity) -> bool:
        """Take over what there is in all; tell whether that is something else than before."""
        if capacity == self._capacity:
            return False
        self._capacity = capacity
        common = lcm(*(amount for _, amount in capacity if amount > 0))
        self._weights = tuple((slot, common // amount) for slot, amount in capacity if amount > 0)
        return True

    def share(self, used: dict[str, int]) -> int:
        """Return the dominant share of what is used, in units of the weights."""
        most = 0
        for slot, weight in self._weights:
            amount = used.get(slot)
            if amount and amount * weight > most:
                most = amount * weight
        return most

    def claims(
        self, used: Mapping[str, int], claims: Iterable[tuple[OrderKey, Needs]]
    ) -> list[ClaimKey]:
        """Return where each of a user's sessions stands when those before it have their places."""
        total = dict(used)
        keys: list[ClaimKey] = []
        for (priority, turn, session_id), needs in claims:
            keys.append((priority, self.share(total), turn, session_id))
            for slot, amount in needs:
                total[slot] = total.get(slot, 0) + amount
        return keys


class FairOrder:
    """The lines of all users; a page costs what there are users, not what there is before it."""

    def __init__(self) -> None:
        self._lines: dict[str, list[ClaimKey]] = {}

    def put(self, user: str, line: list[ClaimKey]) -> None:
        """Take over a user's line, in ascending order."""
        self._lines[user] = line

    def drop(self, user: str) -> None:
        """Forget a user."""
        self._lines.pop(user, None)

    def all(self) -> list[ClaimKey]:
        """Return all keys in order."""
        return sorted(key for line in self._lines.values() for key in line)

    def page(self, offset: int, limit: int) -> list[ClaimKey]:
        """Return up to `limit` keys from the one at `offset` (from 0) on."""
        lines = list(self._lines.values())
        starts = _split(lines, offset)
        heads = [
            (line[at], line, at) for line, at in zip(lines, starts, strict=True) if at < len(line)
        ]
        heapify(heads)
        found: list[ClaimKey] = []
        while heads and len(found) < limit:
            key, line, at = heads[0]
            found.append(key)
            if at + 1 < len(line):
                heapreplace(heads, (line[at + 1], line, at + 1))
            else:
                heappop(heads)
        return found


def _split(lines: list[list[ClaimKey]], count: int) -> list[int]:
    """Return how many keys of each line are among the first `count` of all.

    Every step halves what is left of the lines whose middles lie on the wrong side of the median.
    """
    low = [0] * len(lines)
    high = [len(line) for line in lines]
    if count >= sum(high):
        return high
    while True:
        middles = sorted(
            (line[(low[at] + high[at]) // 2], high[at] - low[at])
            for at, line in enumerate(lines)
            if low[at] < high[at]
        )
        if not middles:
            return low
        pivot = _median(middles)
        cuts = [bisect_left(line, pivot, low[at], high[at]) for at, line in enumerate(lines)]
        before = sum(cuts)
        if before == count:
            return cuts
        if before > count:
            high = cuts
            continue
        low = [
            cut + 1 if cut < high[at] and lines[at][cut] == pivot else cut
            for at, cut in enumerate(cuts)
        ]


def _median(middles: list[tuple[ClaimKey, int]]) -> ClaimKey:
    half = sum(weight for _, weight in middles) // 2
    for key, weight in middles:
        half -= weight
        if half < 0:
            return key
    return middles[-1][0]
