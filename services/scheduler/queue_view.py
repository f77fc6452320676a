"""The pending queue as others see it: a page on demand, and telemetry when it has changed."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, TypeAlias

from nats.aio.client import Client

from services.scheduler.books import Books, Queue
from services.scheduler.placement.queue import Entry
from services.scheduler.waiting_room import Held
from shared.contracts.scheduler import (
    EstimatedStart,
    GetPendingQueue,
    PendingQueue,
    QueueChanged,
    QueueEntry,
)
from shared.contracts.subjects import queue_subject
from shared.kernel.rejections import Rejection, invalid, not_found
from shared.messaging import telemetry

PAGE_MAX: Final = 500
TOLD_MAX: Final = 200
TELL_INTERVAL_S: Final = 0.25

Foreseen: TypeAlias = Mapping[str, EstimatedStart]
NOT_FORESEEN: Final[Foreseen] = {}


def page(
    books: Books, query: GetPendingQueue, position: int, foreseen: Foreseen = NOT_FORESEEN
) -> PendingQueue | Rejection:
    """Answer for one page of a group's queue, in the order in which it will be placed.

    `foreseen` tells of some of its sessions when they will probably start.
    """
    if query.offset < 0 or not 0 <= query.limit <= PAGE_MAX:
        return invalid("limit", "out_of_range", f"limit is 0 to {PAGE_MAX}, offset not negative.")
    queue = books.queues.get(query.resource_group)
    if queue is None:
        return not_found("resource_group", query.resource_group[:64])
    return PendingQueue(
        total=_total(books, queue),
        entries=_entries(books, queue, query.offset, query.limit, foreseen),
        position=position,
    )


def _total(books: Books, queue: Queue) -> int:
    return len(queue.planner.queue) + len(books.waiting_room.of(queue.group.name))


def _entries(
    books: Books, queue: Queue, offset: int, limit: int, foreseen: Foreseen
) -> tuple[QueueEntry, ...]:
    """Return a page: first the queue in its order, then those who may not start yet."""
    found = queue.planner.queue.page(offset, limit)
    entries = [
        _entry(queue, entry, offset + at, foreseen) for at, entry in enumerate(found, start=1)
    ]
    in_line = len(queue.planner.queue)
    first = max(offset - in_line, 0)
    held = islice(
        books.waiting_room.of(queue.group.name), first, first + max(limit - len(entries), 0)
    )
    entries.extend(
        _held(one, in_line + at, foreseen) for at, one in enumerate(held, start=first + 1)
    )
    return tuple(entries)


def _held(held: Held, position: int, foreseen: Foreseen) -> QueueEntry:
    return QueueEntry(
        session_id=held.waiting.session_id,
        position=position,
        reason=held.reason(),
        retries=0,
        estimated_start=foreseen.get(held.waiting.session_id),
    )


def _entry(queue: Queue, entry: Entry, position: int, foreseen: Foreseen) -> QueueEntry:
    return QueueEntry(
        session_id=entry.session.session_id,
        position=position,
        reason=queue.explainer.reason(entry),
        retries=queue.planner.queue.tries(entry),
        estimated_start=foreseen.get(entry.session.session_id),
    )


class QueueTeller:
    """Tells each group's queue after it has changed, at most four times a second.

    Only the first `TOLD_MAX` places are told; `detail` has the total, so a reader knows.
    """

    def __init__(
        self,
        nats: Client,
        books: Callable[[], tuple[Books, int]],
        foreseen: Callable[[str], Foreseen] = lambda _: NOT_FORESEEN,
    ) -> None:
        self._nats = nats
        self._books = books
        self._foreseen = foreseen
        self._told: dict[str, tuple[int, tuple[QueueEntry, ...]]] = {}
        self._wake = asyncio.Event()

    def changed(self) -> None:
        """Note that a queue may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.tell()
            # the rate limit, not a poll: nothing happens until the next change
            await asyncio.sleep(TELL_INTERVAL_S)

    async def tell(self) -> None:
        """Publish every queue that is not as it was told last."""
        books, position = self._books()
        for name, queue in books.queues.items():
            total = _total(books, queue)
            entries = _entries(books, queue, 0, TOLD_MAX, self._foreseen(name))
            if self._told.get(name, (0, ())) == (total, entries):
                continue
            message = QueueChanged(
                resource_group=name, position=position, entries=entries, detail={"total": total}
            )
            if await telemetry.publish(self._nats, queue_subject(name), message):
                self._told[name] = (total, entries)
            else:
                self._wake.set()
