"""The order of shares: who comes before whom when every session finds room in its turn.

A user's share only grows as his sessions get their places, so each of them has a fixed place among
those of the others, and the queue is the merger of one sorted line a user. A page of it is found
without walking there: by guessing the share, then the turn, up to which so many stand.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from itertools import accumulate, repeat
from math import lcm
from operator import sub
from typing import Final, NamedTuple, TypeAlias

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.lanes import OrderKey
from services.scheduler.placement.queue import Capacity
from services.scheduler.placement.stretches import ByShare, ByTurn, Measure, Stretches
from services.scheduler.placement.watchers import Needs

ClaimKey: TypeAlias = tuple[int, int, int, str]

NEVER: Final = 1 << 200  # a turn behind all
NEAR: Final = 512  # so many are walked past rather than guessed at again
SAMPLED: Final = 800  # so many places are looked at for a guess
FINE: Final = 1 << 16
GOLDEN: Final = 40_503  # of these; its multiples are spread evenly
WHOLE: Final = SAMPLED * FINE


class Weights:
    """Makes shares comparable in integers: every slot's use times a weight of that slot."""

    def __init__(self) -> None:
        self._capacity: Capacity = ()
        self.weights: tuple[tuple[str, int], ...] = ()

    def follow(self, capacity: Capacity) -> bool:
        """Take over what there is in all; tell whether that is something else than before."""
        if capacity == self._capacity:
            return False
        self._capacity = capacity
        common = lcm(*(amount for _, amount in capacity if amount > 0))
        self.weights = tuple((slot, common // amount) for slot, amount in capacity if amount > 0)
        return True

    def share(self, used: dict[str, int]) -> int:
        """Return the dominant share of what is used, in units of the weights."""
        most = 0
        for slot, weight in self.weights:
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


class _Level(NamedTuple):
    """The places of some stretches among which a wanted one is; `before` are surely before it."""

    before: int
    lows: list[int]
    highs: list[int]


class FairOrder:
    """The order of users' lines as they stand; whoever keeps it brings each that has changed."""

    def __init__(self, lines: Iterable[tuple[str, Standing]]) -> None:
        self._of_priority: dict[int, Stretches] = {}
        self._shares: dict[int, ByShare] = {}  # of the priorities that were looked at
        self._priorities: dict[str, list[int]] = {}  # of each user's line
        for user, line in lines:
            self._add(user, line)

    def __len__(self) -> int:
        """Return of how many users there are lines."""
        return len(self._priorities)

    @property
    def is_worn(self) -> bool:
        """Whether more lines have gone than are left."""
        held = sum(map(len, self._of_priority.values()))
        return held > 2 * sum(map(len, self._priorities.values())) + NEAR

    def bring(self, user: str, line: Standing | None) -> None:
        """Follow a user's line as it stands now, None: it is gone, in O(slots and priorities)."""
        before = self._priorities.pop(user, [])
        if line is not None:
            self._add(user, line)
        for priority in before:
            if priority not in self._priorities.get(user, ()):
                self._of_priority[priority].drop(user)

    def _add(self, user: str, line: Standing) -> None:
        keys, low = line.keys, line.begin
        end = len(keys)
        while low < end:
            priority = keys[low][0]
            high = end
            if keys[-1][0] != priority:
                high = bisect_left(keys, (priority, NEVER), low, end)
            stretches = self._of_priority.get(priority)
            if stretches is None:
                stretches = self._of_priority[priority] = Stretches()
            at = stretches.put(user, line, low, high)
            shares = self._shares.get(priority)
            if shares is not None and not shares.put(at, line, high):
                del self._shares[priority]
            self._priorities.setdefault(user, []).append(priority)
            low = high

    def page(self, offset: int, limit: int, near: int = NEAR) -> list[str]:
        """Return the ids of up to `limit` sessions from the one at `offset` (from 0) on."""
        found: list[str] = []
        for priority in sorted(self._of_priority):
            size = self._of_priority[priority].size()
            if offset < size and len(found) < limit:
                found.extend(self._page(priority, offset, limit - len(found), near))
            offset = max(offset - size, 0)
        return found

    def _page(self, priority: int, offset: int, limit: int, near: int) -> list[str]:
        """Return a page of those of one priority."""
        stretches = self._of_priority[priority]
        shares = self._shares.get(priority)
        if shares is None:
            shares = self._shares[priority] = ByShare(stretches)
        level = _narrowed(_Level(0, stretches.lows, stretches.highs), offset, shares, near)
        if offset - level.before > near:
            # so many have the same share: among them the turn decides
            level = _narrowed(level, offset, ByTurn(stretches, priority), near)
        return _merged(stretches, shares, level.lows, offset - level.before, limit)


def _narrowed(level: _Level, offset: int, measure: Measure, near: int) -> _Level:
    """Return a level in which the one at `offset` is near, or all are alike in what is measured."""
    before, lows, highs = level
    size = sum(highs) - sum(lows)
    least: int | None = None  # all values are greater than that
    most: int | None = None  # and at most this
    slow = 0  # steps in a row that have brought little
    while offset - before > near and (least is None or most is None or most - least > 1):
        missing = offset - before
        if slow > 1:
            slow = 0
            guess = _middle(lows, highs, measure)
        else:
            guess = _sampled(lows, highs, measure, max(missing - near // 2, 0) / size)
        if most is not None and guess >= most:
            guess = most - 1
        cuts = measure.beyond(guess, lows, highs)
        passed = sum(cuts) - sum(lows)
        if passed <= missing:
            least, lows, before, left = guess, cuts, before + passed, size - passed
        else:
            most, highs, left = guess, cuts, passed
        is_slow = left * 2 > size and (offset - before) * 2 > missing
        slow = slow + 1 if is_slow else 0
        size = left
    return _Level(before, lows, highs)


def _sampled(lows: list[int], highs: list[int], measure: Measure, part: float) -> int:
    """Return a value below which such a part of all may be, as places here and there tell."""
    ends = list(accumulate(map(sub, highs, lows)))
    size = ends[-1]
    # one of every so many places, a longer line is asked more often; never the same of each line
    picked = [(number * FINE + number * GOLDEN % FINE) * size // WHOLE for number in range(SAMPLED)]
    lines = list(map(bisect_right, repeat(ends), picked))
    places = [highs[line] - ends[line] + at for line, at in zip(lines, picked, strict=True)]
    return sorted(measure.values(lines, places))[min(int(part * SAMPLED), SAMPLED - 1)]


def _middle(lows: list[int], highs: list[int], measure: Measure) -> int:
    """Return a value that a good part is below and a good part above: the middle of middles."""
    some = [line for line, low in enumerate(lows) if low < highs[line]]
    counts = [highs[line] - lows[line] for line in some]
    places = [(highs[line] + lows[line]) // 2 for line in some]
    middles = sorted(zip(measure.values(some, places), counts, strict=True))
    passed = list(accumulate(count for _, count in middles))
    return middles[bisect_right(passed, passed[-1] // 2)][0]


def _merged(
    stretches: Stretches, shares: ByShare, lows: list[int], skip: int, limit: int
) -> list[str]:
    """Walk on from where each line stands; return the ids of `limit` after the first `skip`."""
    lines, highs = stretches.lines, stretches.highs
    some = [line for line, low in enumerate(lows) if low < highs[line]]
    places = [lows[line] for line in some]
    heads = [
        (share, lines[line].keys[at], line, at)
        for share, line, at in zip(shares.values(some, places), some, places, strict=True)
    ]
    heapify(heads)
    found: list[str] = []
    while heads and len(found) < limit:
        _, key, line, at = heads[0]
        if skip:
            skip -= 1
        else:
            found.append(key[2])
        at += 1
        if at < highs[line]:
            heapreplace(heads, (shares.at(line, at), lines[line].keys[at], line, at))
        else:
            heappop(heads)
    return found
