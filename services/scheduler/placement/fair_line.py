"""A user's waiting sessions in order, with what those before each of them ask for.

Sums do not change when the user's share does, so a line costs only what comes to it and leaves it.
"""

from bisect import bisect_left
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
        return Standing(self._keys, self._gone, self._sums, used, weights)

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
        asked = dict(needs)
        for slot in asked:
            if slot not in self._sums:
                self._sums[slot] = [0] * (len(keys) + 1)
        if len(keys) == self._gone or keys[-1] < key:  # as most who come
            keys.append(key)
            for slot, sums in self._sums.items():
                sums.append(sums[-1] + asked.get(slot, 0))
            return 0
        at = bisect_left(keys, key, self._gone)
        keys.insert(at, key)
        for slot, sums in self._sums.items():
            amount = asked.get(slot, 0)
            sums[at + 1 :] = [total + amount for total in sums[at:]]
        return (len(keys) - at) // MOVES_PER_STEP


class Standing(NamedTuple):
    """A line beside what its user holds: places are from `begin` on.

    `sums` are of each slot that any of the line asks for what those before a place ask for, from
    some place at the beginning on; `weights` make shares comparable in integers. Whoever keeps one
    must not let the line or what is used change.
    """

    keys: list[OrderKey]
    begin: int
    sums: Mapping[str, list[int]]
    used: Mapping[str, int]
    weights: tuple[tuple[str, int], ...]
