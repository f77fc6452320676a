"""Asks the scheduler for the replay of a period, which goes on as long as it is asked for."""

from typing import Final

import msgspec

from shared.contracts.scheduler import QueueReplay, ReplayQueue
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient

ANSWER_S: Final = 5.0


class Replays:
    """The scheduler's replays."""

    def __init__(self, queries: QueryClient) -> None:
        self._queries = queries

    async def ask(self, query: ReplayQueue, wait_s: float) -> QueueReplay | Rejection:
        """Tell how far a replay is when it is done, or after `wait_s`; the first time begins it."""
        asked = msgspec.structs.replace(query, wait_s=wait_s)
        return await self._queries.ask(asked, type=QueueReplay, timeout_s=wait_s + ANSWER_S)
