"""The order of shares: who comes before whom when every session finds room in its turn.

A user's share only grows as his sessions get their places, so each of them has a fixed place among
those of the others, and the queue is the merger of one sorted line a user.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import lcm
from typing import Final, TypeAlias

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.lanes import OrderKey
from services.scheduler.placement.queue import Capacity
from services.scheduler.placement.ranking import NEAR, Ranking
from services.scheduler.placement.watchers import Needs

ClaimKey: TypeAlias = tuple[int, int, int, str]

NEVER: Final = 1 << 200  # a turn behind all


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


class FairOrder:
    """The order of users' lines as they stand; whoever keeps it brings each that has changed."""

    def __init__(self, lines: Iterable[tuple[str, Standing]]) -> None:
        self._of_priority: dict[int, Ranking] = {}
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
            ranking = self._of_priority.get(priority)
            if ranking is None:
                ranking = self._of_priority[priority] = Ranking(priority)
            ranking.put(user, line, low, high)
            self._priorities.setdefault(user, []).append(priority)
            low = high

    def page(self, offset: int, limit: int, near: int = NEAR) -> list[str]:
        """Return the ids of up to `limit` sessions from the one at `offset` (from 0) on."""
        found: list[str] = []
        for priority in sorted(self._of_priority):
            ranking = self._of_priority[priority]
            size = ranking.size()
            if offset < size and len(found) < limit:
                found.extend(ranking.page(offset, limit - len(found), near))
            offset = max(offset - size, 0)
        return found
