"""Work that takes too long for the event loop: done by a few threads, with a short line."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from services.gateway.http.problems import Refused
from shared.kernel.rejections import unavailable

T = TypeVar("T")
THREADS: Final = 2
LINE_MAX: Final = 16
RETRY_AFTER_S: Final = 2


class OffLoop:
    """Runs functions in threads; `line` more wait at most, whoever comes then is refused."""

    def __init__(self, threads: int = THREADS, line: int = LINE_MAX) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="offloop")
        self._room = threads + line

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; raises Refused (503) when too many are waiting."""
        if self._room == 0:
            text = "The gateway has more of this to do than it can take; try again."
            raise Refused(unavailable("overloaded", text, RETRY_AFTER_S))
        self._room -= 1
        # shielded: the place is free when the thread is, not when a caller hangs up
        task = asyncio.get_running_loop().run_in_executor(self._pool, work)
        task.add_done_callback(self._left)
        return await asyncio.shield(task)

    def _left(self, task: "asyncio.Future[T]") -> None:
        self._room += 1
        if not task.cancelled():
            task.exception()  # whoever waited was told; nobody else is to be

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
