"""Background tasks that may not die in silence: one that ends takes the process with it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shared.kernel.cancelling import cancel
from shared.observability.logging import get_logger

log = get_logger(__name__)
T = TypeVar("T")


class Supervised:
    """Tasks that run until they are stopped; `on_failure` is called when one ends by itself.

    The process then exits non-zero and its supervisor starts it again: state that was half built
    in memory is built anew from the log, which is simpler to get right than any repair.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._stopping = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks that run."""
        return tuple(self._tasks)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` from now on; `name` must be new."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"there is a background task {name} already")
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)

    async def stop(self, timeout_s: float) -> None:
        """Cancel all tasks and wait for them, at most `timeout_s`."""
        self._stopping = True
        for task in await cancel(tuple(self._tasks.values()), timeout_s):
            log.error("background_task_stuck", task=task.get_name())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        self._tasks.pop(name, None)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            log.critical("background_task_failed", task=name, exc_info=problem)
        if self._stopping:
            return
        if problem is None:
            log.critical("background_task_ended", task=name)
        self._on_failure(f"background task {name} {'failed' if problem else 'ended'}")


async def until_up(
    attempt: Callable[[], Awaitable[T]],
    *,
    retry: tuple[type[Exception], ...],
    give_up_s: float,
    tell: Callable[[Exception], None],
) -> T:
    """Call `attempt` until it succeeds and return its result.

    `retry` are the exceptions that mean "not up yet"; `tell` hears of each. The pause between tries
    doubles from 0.1 s to 2 s. Raises the last of them after `give_up_s`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + give_up_s
    pause_s = 0.1
    while True:
        try:
            return await attempt()
        except retry as problem:
            if loop.time() + pause_s > end:
                raise
            tell(problem)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 2.0)
