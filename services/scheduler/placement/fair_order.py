"""The order of shares: who comes before whom when every session finds room in its turn.

A user's share only grows as his sessions get their places, so each of them has a fixed place among
those of the others, and the queue is the merger of one sorted line a user. A page of it is found
without walking there: by guessing the share, then the turn, up to which so many stand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from math import lcm
from typing import Final, NamedTuple, TypeAlias

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.lanes import OrderKey
from services.scheduler.placement.queue import Capacity
from services.scheduler.placement.watchers import Needs

ClaimKey: TypeAlias = tuple[int, int, int, str]

NEVER: Final = 1 << 200  # a turn behind all
NEAR: Final = 512  # so many are walked past rather than guessed at again
SAMPLED_LINES: Final = 64
SAMPLED_PLACES: Final = 8
FINE: Final = 64


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


class _Stretches(NamedTuple):
    """A stretch of each of some lines: the places from a low one to before a high one."""

    lines: list[Standing]
    lows: list[int]
    highs: list[int]

    def add(self, line: Standing, low: int, high: int) -> None:
        """Add the stretch of one more line."""
        self.lines.append(line)
        self.lows.append(low)
        self.highs.append(high)

    def size(self) -> int:
        """Return how many places there are."""
        return sum(self.highs) - sum(self.lows)

    def some(self) -> Iterator[tuple[Standing, int, int]]:
        """Walk the stretches that have places."""
        for line, low, high in zip(*self, strict=True):
            if low < high:
                yield line, low, high


class _Measure(NamedTuple):
    """What places are told apart by, ascending in each line: its value, and where it is passed."""

    value: Callable[[Standing, int], int]
    beyond: Callable[[Standing, int, int, int], int]


_SHARE: Final = _Measure(Standing.share, Standing.share_beyond)
_TURN: Final = _Measure(Standing.turn, Standing.turn_beyond)


def page(lines: Iterable[Standing], offset: int, limit: int, near: int = NEAR) -> list[str]:
    """Return the ids of up to `limit` sessions from the one at `offset` (from 0) on."""
    of_priority: dict[int, _Stretches] = {}
    for line in lines:
        low, end = line.begin, len(line.keys)
        while low < end:
            priority = line.keys[low][0]
            high = end if line.keys[-1][0] == priority else line.turn_beyond(NEVER, low, end)
            stretches = of_priority.get(priority)
            if stretches is None:
                stretches = of_priority[priority] = _Stretches([], [], [])
            stretches.add(line, low, high)
            low = high
    found: list[str] = []
    for priority in sorted(of_priority):
        stretches = of_priority[priority]
        size = stretches.size()
        if offset < size and len(found) < limit:
            found.extend(_page(stretches, offset, limit - len(found), near))
        offset = max(offset - size, 0)
    return found


def _page(stretches: _Stretches, offset: int, limit: int, near: int) -> list[str]:
    """Return a page of those of one priority."""
    before, level = _narrowed(stretches, offset, _SHARE, near)
    if offset - before > near:
        # so many have the same share: among them the turn decides
        more, level = _narrowed(level, offset - before, _TURN, near)
        before += more
    return _merged(stretches._replace(lows=level.lows), offset - before, limit)


def _narrowed(
    stretches: _Stretches, offset: int, measure: _Measure, near: int
) -> tuple[int, _Stretches]:
    """Return how many surely stand before the one at `offset`, and the stretches it is among.

    It is near then, or all places of the stretches are alike in what is measured.
    """
    lines, lows, highs = stretches
    size = stretches.size()
    before = 0
    if offset <= near:
        return before, stretches
    least = min(measure.value(line, low) for line, low, _ in stretches.some()) - 1
    most = max(measure.value(line, high - 1) for line, _, high in stretches.some())
    slow = 0  # steps in a row that have brought little
    while offset - before > near and most - least > 1:
        if slow > 1:
            slow = 0
            guess = _middle(_Stretches(lines, lows, highs), measure)
        else:
            guess = _sampled(
                _Stretches(lines, lows, highs), measure, offset - before - near // 2, size
            )
        guess = max(min(guess, most - 1), least + 1)
        beyond = measure.beyond
        cuts = [
            beyond(line, guess, low, high) if low < high else low
            for line, low, high in zip(lines, lows, highs, strict=True)
        ]
        passed = sum(cuts) - sum(lows)
        missing = offset - before
        if passed <= missing:
            least, lows, before, left = guess, cuts, before + passed, size - passed
        else:
            most, highs, left = guess, cuts, passed
        is_slow = left * 2 > size and (offset - before) * 2 > missing
        slow = slow + 1 if is_slow else 0
        size = left
    return before, _Stretches(lines, lows, highs)


def _sampled(stretches: _Stretches, measure: _Measure, wanted: int, size: int) -> int:
    """Return a value below which `wanted` of all may be, as some places of some lines tell."""
    some = list(stretches.some())
    points: list[tuple[int, int]] = []
    for line, low, high in some[:: len(some) // SAMPLED_LINES + 1]:
        count = high - low
        parts = min(count, SAMPLED_PLACES)
        points.extend(
            (
                measure.value(line, low + (2 * part + 1) * count // (2 * parts)),
                count * FINE // parts,
            )
            for part in range(parts)
        )
    points.sort()
    left = sum(weight for _, weight in points) * max(wanted, 0) // size
    for value, weight in points:
        left -= weight
        if left < 0:
            return value
    return points[-1][0]


def _middle(stretches: _Stretches, measure: _Measure) -> int:
    """Return a value that a good part is below and a good part above: the middle of middles."""
    middles = sorted(
        (measure.value(line, (low + high) // 2), high - low) for line, low, high in stretches.some()
    )
    half = sum(weight for _, weight in middles) // 2
    for value, weight in middles:
        half -= weight
        if half < 0:
            return value
    return middles[-1][0]


def _merged(stretches: _Stretches, skip: int, limit: int) -> list[str]:
    """Walk on from where each line stands; return the ids of `limit` after the first `skip`."""
    heads = [
        (line.share(low), line.keys[low], line, low, high) for line, low, high in stretches.some()
    ]
    heapify(heads)
    found: list[str] = []
    while heads and len(found) < limit:
        _, key, line, at, high = heads[0]
        if skip:
            skip -= 1
        else:
            found.append(key[2])
        at += 1
        if at < high:
            heapreplace(heads, (line.share(at), line.keys[at], line, at, high))
        else:
            heappop(heads)
    return found
