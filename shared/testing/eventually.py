"""Wait for what nobody announces: a row, a stream's state, another process."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Final

DEADLINE_S: Final = 60.0
PAUSE_S: Final = 0.005


async def eventually(
    holds: Callable[[], bool | Awaitable[bool]], timeout_s: float = DEADLINE_S
) -> None:
    """Ask again and again until `holds`; raises TimeoutError at the deadline.

    For tests only, and only where no event can be awaited: a test must not depend on how long
    something takes, so the deadline is generous.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            answer = holds()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(PAUSE_S)
