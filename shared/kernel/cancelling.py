"""Ending tasks for sure."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_S: Final = 1.0


async def cancel(tasks: Iterable[asyncio.Task[Any]], timeout_s: float) -> set[asyncio.Task[Any]]:
    """Cancel tasks and wait until they have ended; returns those that haven't after `timeout_s`.

    Asking once is not enough: up to Python 3.11 `asyncio.wait_for`, which nats-py awaits its
    answers with, loses a cancellation that comes together with the answer (CPython issue 86296).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    pending = {task for task in tasks if not task.done()}
    while pending and (left_s := end - loop.time()) > 0:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=min(AGAIN_S, left_s))
    return pending
