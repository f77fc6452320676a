"""From the log to the books."""

from services.scheduler.books import Books
from shared.eventlog.log import EventLog


async def follow(books: Books, event_log: EventLog, after: int = 0) -> int:
    """Take in what is in the log after a position; return the position then reached."""
    position = after
    async for recorded in event_log.fold_all(after):
        books.apply(recorded.event, recorded.meta.correlation_id, recorded.recorded_at)
        position = recorded.position
    return position
