"""The order of users' lines of one priority: a page is found without walking there.

The share, then the turn, up to which so many stand is guessed. How far each line goes up to a
share that was guessed is kept, so that the next page near it, after a few changes, needs no guess.
"""

from bisect import bisect_right
from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from itertools import accumulate, repeat
from operator import sub
from typing import Final, NamedTuple

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.stretches import ByShare, ByTurn, Measure, Stretches, place

NEAR: Final = 512  # so many are walked past rather than guessed at again
MARKS_MAX: Final = 6  # each is brought up to date with each line that changes
SAMPLED: Final = 800  # so many places are looked at for a guess
FINE: Final = 1 << 16
GOLDEN: Final = 40_503  # of these; its multiples are spread evenly
WHOLE: Final = SAMPLED * FINE


class _Level(NamedTuple):
    """The places of some stretches among which a wanted one is; `before` are surely before it.

    What is measured of them is greater than `least` and at most `most`, None: nobody knows.
    """

    before: int
    lows: list[int]
    highs: list[int]
    least: int | None = None
    most: int | None = None


class Ranking:
    """The lines of one priority, and where each stood at the shares that were asked for lately."""

    def __init__(self, priority: int) -> None:
        self._priority = priority
        self._stretches = Stretches()
        self._shares: _Marked | None = None  # once somebody has looked

    def __len__(self) -> int:
        """Return how many lines there are, those that are gone among them."""
        return len(self._stretches.lines)

    def size(self) -> int:
        """Return how many sessions there are."""
        return self._stretches.size()

    def put(self, user: str, line: Standing, low: int, high: int) -> None:
        """Take in a user's line from a place to before another, or follow how it stands now."""
        at = self._stretches.put(user, line, low, high)
        if self._shares is not None and not self._shares.put(at, line, low, high):
            self._shares = None

    def drop(self, user: str) -> None:
        """Forget a user's line."""
        at = self._stretches.drop(user)
        if self._shares is not None:
            self._shares.drop(at)

    def page(self, offset: int, limit: int, near: int) -> list[str]:
        """Return the ids of up to `limit` sessions from the one at `offset` on; it must be there.

        No more than about `near` are walked past.
        """
        shares = self._shares
        if shares is None:
            shares = self._shares = _Marked(self._stretches)
        level = _narrowed(shares.level(offset), offset, shares, near)
        if offset - level.before > near:
            # so many have the same share: among them the turn decides
            turns = ByTurn(self._stretches, self._priority)
            level = _narrowed(level._replace(least=None, most=None), offset, turns, near)
        return _merged(self._stretches, shares.by_share, level, offset - level.before, limit)


class _Marked:
    """Measures by share, and keeps how far each line goes up to the values asked for lately."""

    def __init__(self, stretches: Stretches) -> None:
        self.by_share = ByShare(stretches)
        self._stretches = stretches
        self._marks: dict[int, list[int]] = {}  # the latest is the last

    def put(self, at: int, line: Standing, low: int, high: int) -> bool:
        """Follow one line, in O(slots); False: begin anew instead."""
        if not self.by_share.put(at, line, high):
            return False
        for value, cuts in self._marks.items():
            place(cuts, at, self.by_share.cut(at, value, low, high))
        return True

    def drop(self, at: int) -> None:
        """Follow that a line is gone."""
        for cuts in self._marks.values():
            cuts[at] = 0

    def level(self, offset: int) -> _Level:
        """Return the narrowest level that is known of where the one at `offset` is."""
        lows, highs = self._stretches.lows, self._stretches.highs
        least: int | None = None
        most: int | None = None
        before, passed = 0, sum(lows)
        for value, cuts in self._marks.items():
            here = sum(cuts) - passed
            if here <= offset and (least is None or value > least):
                before, least = here, value
            elif here > offset and (most is None or value < most):
                most = value
        lows = lows if least is None else self._used(least)
        highs = highs if most is None else self._used(most)
        return _Level(before, lows, highs, least, most)

    def values(self, lines: Sequence[int], places: Sequence[int]) -> list[int]:
        """Return the share at a place of a line, for each pair of these."""
        return self.by_share.values(lines, places)

    def beyond(self, value: int, lows: list[int], highs: list[int]) -> list[int]:
        """Return of each line the first place of a greater share, and keep that."""
        cuts = self.by_share.beyond(value, lows, highs)
        self._marks[value] = [*cuts]
        if len(self._marks) > MARKS_MAX:
            del self._marks[next(iter(self._marks))]
        return cuts

    def _used(self, value: int) -> list[int]:
        """Return a mark, which is the latest now."""
        cuts = self._marks[value] = self._marks.pop(value)
        return cuts


def _narrowed(level: _Level, offset: int, measure: Measure, near: int) -> _Level:
    """Return a level in which the one at `offset` is near, or all are alike in what is measured."""
    before, lows, highs, least, most = level
    size = sum(highs) - sum(lows)
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
    return _Level(before, lows, highs, least, most)


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
    stretches: Stretches, shares: ByShare, level: _Level, skip: int, limit: int
) -> list[str]:
    """Walk on from where each line stands; return the ids of `limit` after the first `skip`."""
    lines, lows, highs = stretches.lines, level.lows, stretches.highs
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
