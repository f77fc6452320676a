"""Who wants to look at the books, and waits for a moment between two commits."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from services.scheduler.books import Books
from shared.eventlog.outcomes import LogUnavailable

T = TypeVar("T")


class Reads:
    """Looks that wait for their turn."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[Books], Awaitable[Any]], asyncio.Future[Any]]] = (
            deque()
        )
        self._is_over = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, look: Callable[[Books], T]) -> asyncio.Future[T]:
        """Return where the answer will be; LogUnavailable once these books are nobody's."""

        async def at_once(books: Books) -> T:
            return look(books)

        return self.add_work(at_once)

    def add_work(self, work: Callable[[Books], Awaitable[T]]) -> asyncio.Future[T]:
        """Return where the answer will be of something that holds everything up meanwhile."""
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, found))
        if self._is_over:
            self.end()
        return found

    async def answer(self, books: Callable[[], Books]) -> None:
        """Let everybody look who waits; one of them may give us other books."""
        while self._waiting:
            work, found = self._waiting.popleft()
            if found.done():
                continue
            try:
                seen = await work(books())
            except LogUnavailable as problem:
                if not found.done():
                    found.set_exception(problem)
            else:
                if not found.done():
                    found.set_result(seen)

    def end(self) -> None:
        """Let nobody wait any more, nor from now on: another scheduler leads."""
        self._is_over = True
        while self._waiting:
            _, found = self._waiting.popleft()
            if not found.done():
                found.set_exception(LogUnavailable("this scheduler does not lead any more"))
