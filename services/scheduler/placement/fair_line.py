"""A user's waiting sessions in order, with what those before each of them ask for.

Sums do not change when the user's share does, so a line costs only what comes to it and leaves it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import Final, NamedTuple

from services.scheduler.placement.lanes import Lane, OrderKey
from services.scheduler.placement.watchers import Needs

SPARE: Final = 64
MOVES_PER_STEP: Final = 16  # so many are moved up or down in the time of one step of ours


class FairLine:
    """The line of one user. What comes and goes is noted, and done when somebody looks."""

    __slots__ = ("_gone", "_keys", "_noted", "_sums")

    def __init__(self) -> None:
        self._keys: list[OrderKey] = []
        self._sums: dict[str, list[int]] = {}  # by slot, what those before each ask for, and all
        self._gone = 0  # how many of the keys at the front are not there any more
        self._noted: list[tuple[OrderKey, Needs | None]] | None = []

    def came(self, key: OrderKey, needs: Needs) -> None:
        """Note that a session has come."""
        self._note(key, needs)

    def left(self, key: OrderKey) -> None:
        """Note that a session has left."""
        self._note(key, None)

    def standing(
        self,
        lanes: Collection[Lane],
        used: Mapping[str, int],
        weights: tuple[tuple[str, int], ...],
    ) -> "Standing":
        """Return how the line stands now: `lanes` are all that is in it, `used` his share."""
        if self._noted != []:
            self._settle(lanes)
        floor = 0
        measures = []
        for slot, weight in weights:
            sums = self._sums.get(slot)
            amount = used.get(slot, 0)
            if sums is None:
                floor = max(floor, amount * weight)
            else:
                measures.append((weight, sums, amount - sums[self._gone]))
        return Standing(self._keys, self._gone, floor, tuple(measures))

    def _note(self, key: OrderKey, needs: Needs | None) -> None:
        if self._noted is None:
            return
        self._noted.append((key, needs))
        if len(self._noted) > len(self._keys) + SPARE:
            self._noted = None  # as cheap to begin anew

    def _settle(self, lanes: Collection[Lane]) -> None:
        """Do what was noted, unless beginning anew costs less."""
        noted, self._noted = self._noted, []
        if noted is None:
            self._begin(lanes)
            return
        spare = len(self._keys) + SPARE
        for key, needs in noted:
            spare -= 1 + (self._take(key) if needs is None else self._put(key, needs))
            if spare < 0:
                self._begin(lanes)
                return
        if self._gone > len(self._keys) // 2 + SPARE:
            del self._keys[: self._gone]
            for sums in self._sums.values():
                del sums[: self._gone]
            self._gone = 0

    def _begin(self, lanes: Collection[Lane]) -> None:
        ordered = sorted((key, at) for at, lane in enumerate(lanes) for key in lane.fresh)
        self._gone = 0
        self._keys = [key for key, _ in ordered]
        needs = [dict(lane.bill.needs) for lane in lanes]
        self._sums = {
            slot: list(accumulate((needs[at].get(slot, 0) for _, at in ordered), initial=0))
            for slot in {slot for one in needs for slot in one}
        }

    def _take(self, key: OrderKey) -> int:
        """Take a key out; return what that cost beyond a step."""
        keys = self._keys
        if keys[self._gone] == key:
            self._gone += 1
            return 0
        at = bisect_left(keys, key, self._gone)
        del keys[at]
        for sums in self._sums.values():
            amount = sums[at + 1] - sums[at]
            sums[at + 1 :] = [total - amount for total in sums[at + 2 :]]
        return (len(keys) - at) // MOVES_PER_STEP

    def _put(self, key: OrderKey, needs: Needs) -> int:
        """Put a key in its place; return what that cost beyond a step."""
        keys = self._keys
        at = bisect_left(keys, key, self._gone)
        keys.insert(at, key)
        asked = dict(needs)
        for slot in asked:
            if slot not in self._sums:
                self._sums[slot] = [0] * len(keys)
        for slot, sums in self._sums.items():
            amount = asked.get(slot, 0)
            if at + 1 == len(sums):
                sums.append(sums[at] + amount)
            else:
                sums[at + 1 :] = [total + amount for total in sums[at:]]
        return (len(keys) - at) // MOVES_PER_STEP


class Standing(NamedTuple):
    """A line beside what its user holds: places are from `begin` on, shares in integers.

    `floor` is the share by what none of the line asks for; the rest are weights and sums by slot,
    each with what to add to a sum. Whoever keeps one must not let the line change.
    """

    keys: list[OrderKey]
    begin: int
    floor: int
    measures: tuple[tuple[int, list[int], int], ...]

    def share(self, at: int) -> int:
        """Return the user's share when all before a place have got what they ask for."""
        most = self.floor
        for weight, sums, held in self.measures:
            share = (sums[at] + held) * weight
            if share > most:  # noqa: PLR1730  # called for thousands of places: max costs twice
                most = share
        return most

    def turn(self, at: int) -> int:
        """Return since when the one at a place waits."""
        return self.keys[at][1]

    def share_beyond(self, share: int, low: int, high: int) -> int:
        """Return the first place from `low` before `high` of a greater share, else `high`."""
        if self.floor > share:
            return low
        for weight, sums, held in self.measures:
            high = bisect_right(sums, share // weight - held, low, high)
        return high

    def turn_beyond(self, turn: int, low: int, high: int) -> int:
        """Return the first place of a later turn, among those of one priority."""
        return (
            low if low == high else bisect_left(self.keys, (self.keys[low][0], turn + 1), low, high)
        )
