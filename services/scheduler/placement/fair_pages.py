"""Pages of the order of shares, one after the other, with changes in between."""

from collections.abc import Callable, Iterable
from typing import Final

from services.scheduler.placement.fair_line import Standing
from services.scheduler.placement.fair_order import FairOrder

ANEW_PART: Final = 4  # when so many of the lines have changed, it is as cheap to begin anew
ANEW_MIN: Final = 8


class FairPages:
    """Keeps the order from page to page: only lines that have changed are looked at again."""

    def __init__(self) -> None:
        self._order: FairOrder | None = None
        self._changed: set[str] = set()

    def changed(self, user: str) -> None:
        """Note that a user's line, or what he holds, is another."""
        if self._order is None:
            return
        self._changed.add(user)
        if len(self._changed) > len(self._order) // ANEW_PART + ANEW_MIN:
            self._order = None
            self._changed.clear()

    def page(
        self,
        users: Iterable[str],
        standing: Callable[[str], Standing | None],
        offset: int,
        limit: int,
    ) -> list[str]:
        """Return the ids of up to `limit` sessions from the one at `offset` (from 0) on.

        `standing` gives how a user's line stands now, None for one who is not of `users` any more.
        """
        order = self._order
        if order is None or order.is_worn:
            lines = ((user, line) for user in users if (line := standing(user)) is not None)
            order = self._order = FairOrder(lines)
        else:
            for user in self._changed:
                order.bring(user, standing(user))
        self._changed.clear()
        return order.page(offset, limit)
