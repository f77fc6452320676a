"""A bounded number of requests at once, a bounded line before it, and a deadline on waiting."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

Entry = Literal["entered", "full", "late", "gone"]
Receive = Callable[[], Awaitable[Any]]
WAIT_S: Final = 5.0


class Gate:
    """Lets `width` requests in at once; `line` more wait, in order, for at most `wait_s`.

    Whoever waits and hangs up leaves the line without having cost anything.
    """

    def __init__(self, width: int, line: int, *, wait_s: float = WAIT_S) -> None:
        self._width = width
        self._line = line
        self._wait_s = wait_s
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def load(self) -> tuple[int, int]:
        """How many requests are inside, and how many wait."""
        return self._inside, len(self._waiting)

    def try_enter(self) -> bool:
        """Enter if there is room and nobody waits; the way without any cost."""
        if self._inside < self._width and not self._waiting:
            self._inside += 1
            return True
        return False

    async def enter(self, receive: Receive) -> Entry:
        """Enter, or wait in line; `receive` tells when the caller has hung up."""
        if self.try_enter():
            return "entered"
        if len(self._waiting) >= self._line:
            return "full"
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        hung_up = asyncio.ensure_future(receive())
        try:
            await asyncio.wait(
                (turn, hung_up), timeout=self._wait_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not hung_up.done():
                hung_up.cancel()
            if not turn.done():
                turn.cancel()
                self._waiting.remove(turn)
        is_gone = hung_up.done() and not hung_up.cancelled()
        if turn.cancelled():
            return "gone" if is_gone else "late"
        if is_gone:
            self.leave()
            return "gone"
        return "entered"

    def leave(self) -> None:
        """Give the place to the next in line."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._inside -= 1
