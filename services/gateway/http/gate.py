"""A bounded number of requests at once, a bounded line before it, and a deadline on waiting."""

import asyncio
from collections import deque
from typing import Final, Literal

from shared.runtime.http import Message, Receive

Entry = Literal["entered", "full", "late", "gone"]
WAIT_S: Final = 5.0


class Caller:
    """What a caller sends, read ahead as far as is needed to see that they hang up."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[Message] = deque()

    async def receive(self) -> Message:
        """Return the next message, those read ahead first."""
        return self._ahead.popleft() if self._ahead else await self._receive()

    async def hung_up(self) -> None:
        """Return when the caller has hung up; while more of a body is to come nobody can tell."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            self._ahead.append(message)
            if message.get("more_body", False):
                await asyncio.Event().wait()


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

    async def enter(self, caller: Caller) -> Entry:
        """Enter, or wait in line for as long as the caller does."""
        if self.try_enter():
            return "entered"
        if len(self._waiting) >= self._line:
            return "full"
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        hung_up = asyncio.ensure_future(caller.hung_up())
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
