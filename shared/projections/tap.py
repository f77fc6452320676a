"""What the projections in front have committed lately, for those in the background to take.

A projection in the background so need not fetch and decode the same events once more. The tap
holds a piece of the log without a gap, its newest end. Whoever is behind that piece, or hears
nothing for a while, reads the stream itself.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.eventlog.records import Recorded

EVENTS_MAX: Final = 2_048
SILENCE_S: Final = 5.0


class _Piece(NamedTuple):
    position: int
    events: Sequence[Recorded]


class Tap:
    """The newest events of one source, as one or more projections in front have shown them."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._held = 0
        self._start = 0
        self._end: int | None = None
        self._offered = asyncio.Event()

    def offer(self, before: int, position: int, events: Sequence[Recorded]) -> None:
        """Add what is shown from after `before` up to `position`."""
        if self._end is None or before > self._end:
            self._pieces.clear()
            self._held = 0
            self._start = before
        elif position <= self._end:
            return
        elif before < self._end:  # another projection was faster with a part of it
            end = self._end
            events = [item for item in events if item.position > end]
        self._pieces.append(_Piece(position, events))
        self._end = position
        self._held += len(events)
        while self._held > EVENTS_MAX:
            dropped = self._pieces.popleft()
            self._held -= len(dropped.events)
            self._start = dropped.position
        self._offered.set()

    def covers(self, position: int) -> bool:
        """Tell whether everything after a position that was shown is here."""
        return self._end is not None and position >= self._start

    async def wait(self, position: int) -> bool:
        """Wait for what comes after a position; False when nothing does for a while."""
        try:
            async with asyncio.timeout(SILENCE_S):
                while self.covers(position) and (self._end or 0) <= position:
                    self._offered.clear()
                    await self._offered.wait()
        except TimeoutError:
            return False
        return self.covers(position)

    def take(self, position: int) -> tuple[list[Recorded], int]:
        """Return the events after a position, and up to where; they are held no longer."""
        events = [
            item for piece in self._pieces for item in piece.events if item.position > position
        ]
        self._pieces.clear()
        self._held = 0
        self._start = self._end or position
        return events, self._start
