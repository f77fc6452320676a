"""Stretches of users' lines side by side: of each line the places from a low to before a high one.

What is asked of all lines at once is a pass over a column of them, not a call for each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import repeat
from operator import sub
from typing import NamedTuple, Protocol, TypeVar

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.lanes import OrderKey

T = TypeVar("T")


class Stretches:
    """Stretches of users' lines, all of one priority; of no places when a line is gone."""

    def __init__(self) -> None:
        self.lines: list[Standing] = []
        self.lows: list[int] = []
        self.highs: list[int] = []
        self._at: dict[str, int] = {}

    def put(self, user: str, line: Standing, low: int, high: int) -> int:
        """Add the stretch of a user's line, or replace it; return which one it is."""
        at = self._at.setdefault(user, len(self.lines))
        if at == len(self.lines):
            self.lines.append(line)
            self.lows.append(low)
            self.highs.append(high)
        else:
            self.lines[at] = line
            self.lows[at] = low
            self.highs[at] = high
        return at

    def drop(self, user: str) -> int:
        """Leave a line no places; what it refers to may change from now on. Return which it is."""
        at = self._at[user]
        self.lines[at] = Standing([], 0, {}, {}, ())
        self.lows[at] = self.highs[at] = 0
        return at

    def size(self) -> int:
        """Return how many places there are."""
        return sum(self.highs) - sum(self.lows)


class Measure(Protocol):
    """What places are told apart by; in each line it only grows."""

    def values(self, lines: Sequence[int], places: Sequence[int]) -> list[int]:
        """Return what it is at a place of a line, for each pair of these."""

    def beyond(self, value: int, lows: list[int], highs: list[int]) -> list[int]:
        """Return of each line the first place from a low one on where it is greater, or the high.

        The low places and those before the high ones are of the stretches.
        """


class _Column(NamedTuple):
    """A slot: its weight, and of each line the sums and what to add to them."""

    weight: int
    sums: list[list[int]]
    held: list[int]


class ByShare:
    """What the user's share is when all before a place have got what they ask for."""

    def __init__(self, stretches: Stretches) -> None:
        lines = stretches.lines
        self._weights = next(line.weights for line in lines if line.keys)
        self._floors = [0] * len(lines)  # the shares by slots that nobody asks for
        self._columns: dict[str, _Column] = {}
        # the sums of who asks for nothing of a slot
        self._none = none = [0] * (max(stretches.highs) + 1)
        for slot, weight in self._weights:
            used = [line.used.get(slot, 0) for line in lines]
            asked = [line.sums.get(slot, none) for line in lines]
            if all(sums is none for sums in asked):
                floors = zip(self._floors, used, strict=True)
                self._floors = [max(floor, amount * weight) for floor, amount in floors]
            else:
                began = [sums[line.begin] for line, sums in zip(lines, asked, strict=True)]
                self._columns[slot] = _Column(weight, asked, list(map(sub, used, began)))
        self._ceiling = max(self._floors)

    def put(self, at: int, line: Standing, high: int) -> bool:
        """Follow one line, a new one or as it is now, in O(slots); False: begin anew instead."""
        if line.weights is not self._weights:
            return False
        floor = 0
        for slot, weight in self._weights:
            if slot not in self._columns:
                if slot in line.sums:
                    return False
                floor = max(floor, line.used.get(slot, 0) * weight)
        place(self._floors, at, floor)
        self._ceiling = max(self._ceiling, floor)  # may stay too high, which only costs a pass
        self._none.extend([0] * (high + 1 - len(self._none)))
        for slot, column in self._columns.items():
            sums = line.sums.get(slot, self._none)
            place(column.sums, at, sums)
            place(column.held, at, line.used.get(slot, 0) - sums[line.begin])
        return True

    def at(self, line: int, place: int) -> int:
        """Return the share at a place of a line."""
        most = self._floors[line]
        for weight, sums, held in self._columns.values():
            share = (sums[line][place] + held[line]) * weight
            if share > most:  # noqa: PLR1730  # called for hundreds of places: max costs twice
                most = share
        return most

    def cut(self, at: int, value: int, low: int, high: int) -> int:
        """Return of one line the first place from the low one on of a greater share, or the high.

        As `beyond` does of all.
        """
        if self._floors[at] > value:
            return low
        for weight, sums, held in self._columns.values():
            high = bisect_right(sums[at], value // weight - held[at], low, high)
        return high

    def values(self, lines: Sequence[int], places: Sequence[int]) -> list[int]:
        """Return the share at a place of a line, for each pair of these."""
        most = [self._floors[line] for line in lines]
        for weight, sums, held in self._columns.values():
            most = [
                one if one >= (share := (sums[line][place] + held[line]) * weight) else share
                for one, line, place in zip(most, lines, places, strict=True)
            ]
        return most

    def beyond(self, value: int, lows: list[int], highs: list[int]) -> list[int]:
        """Return of each line the first place from a low one on of a greater share, or the high."""
        if self._ceiling > value:
            highs = [
                low if floor > value else high
                for floor, low, high in zip(self._floors, lows, highs, strict=True)
            ]
        for weight, sums, held in self._columns.values():
            limits = map(sub, repeat(value // weight), held)
            highs = list(map(bisect_right, sums, limits, lows, highs))
        return highs


def place(column: list[T], at: int, value: T) -> None:
    """Set what a column says of a line: of one that is there, or of the next one."""
    if at == len(column):
        column.append(value)
    else:
        column[at] = value


class ByTurn:
    """Since when the one at a place waits."""

    def __init__(self, stretches: Stretches, priority: int) -> None:
        self._keys: list[list[OrderKey]] = [line.keys for line in stretches.lines]
        self._priority = priority

    def values(self, lines: Sequence[int], places: Sequence[int]) -> list[int]:
        """Return the turn at a place of a line, for each pair of these."""
        keys = self._keys
        return [keys[line][place][1] for line, place in zip(lines, places, strict=True)]

    def beyond(self, value: int, lows: list[int], highs: list[int]) -> list[int]:
        """Return of each line the first place from a low one on of a later turn, or the high."""
        later = repeat((self._priority, value + 1))
        return list(map(bisect_left, self._keys, later, lows, highs))
