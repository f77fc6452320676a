"""What a loop asks before each round, so that a cancellation is never lost."""

import asyncio


def is_wanted() -> bool:
    """Return True, or raise CancelledError once the present task has been cancelled.

    Python 3.11's `wait_for`, which nats-py uses for every request, swallows a cancellation that
    meets its result; a loop that only awaits would then go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError
    return True
