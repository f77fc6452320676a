"""Pages of a group's queue: the first from what the scheduler tells, what is behind on request."""

from typing import Final

from services.gateway.telemetry.queues import Place, Queues
from shared.contracts.scheduler import GetPendingQueue, PendingQueue
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient
from shared.observability.logging import get_logger

log = get_logger(__name__)

ANSWER_S: Final = 2.0


class QueueOrder:
    """The order of everybody's sessions."""

    def __init__(self, queues: Queues, queries: QueryClient) -> None:
        self._queues = queues
        self._queries = queries

    async def page(self, group: str, offset: int, limit: int) -> tuple[list[Place], int]:
        """Return places from `offset` (from 0) on, and how many sessions wait in all.

        While the scheduler is away, those that it has not told stand by priority and age.
        """
        total = self._queues.count(group)
        if total == 0:
            return [], 0
        front = self._queues.front(group)
        if offset + limit <= len(front):
            return front[offset : offset + limit], total
        if not self._queues.is_whole(group):
            query = GetPendingQueue(resource_group=group, offset=offset, limit=limit)
            found = await self._queries.ask(query, PendingQueue, timeout_s=ANSWER_S)
            if not isinstance(found, Rejection):
                return [Place(one.session_id, one.position, one) for one in found.entries], total
            log.info("queue_page_not_told", group=group, code=found.code)
        return self._queues.places(group, offset, limit)[0], total
