"""Finds the sessions that new ones are to wait for: in the books, or in the log."""

from collections.abc import Mapping
from typing import Final

from services.scheduler.books import Books, Ended
from services.scheduler.domain.dependencies import DEPENDENCIES_MAX, Dependency, Find
from shared.contracts.scheduler import (
    EnqueueSession,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionTerminated,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog

ID_MAX: Final = 64


async def ended_in_log(
    event_log: EventLog, books: Books, command: EnqueueSession
) -> dict[str, Ended]:
    """Return, by id, how those have ended that the books have forgotten. Raises LogUnavailable."""
    found: dict[str, Ended] = {}
    for name in dict.fromkeys(command.depends_on[:DEPENDENCIES_MAX]):
        is_known = name in books.sessions or name in books.ended
        if is_known or (command.user_id, name) in books.names or not _may_be_id(name):
            continue
        stream = await event_log.load(stream_name("session", name))
        if not stream.events:
            continue
        first, last = stream.events[0], stream.events[-1]
        is_over = isinstance(last, SessionTerminated | SessionCancelled | SessionFailed)
        if isinstance(first, SessionEnqueued) and is_over:
            is_good = isinstance(last, SessionTerminated) and last.result == "success"
            found[name] = Ended(first.user_id, is_good)
    return found


def finder(books: Books, user_id: str, in_log: Mapping[str, Ended]) -> Find:
    """Return what finds a session of a user by its id, or by its name until it has ended."""

    def find(name: str) -> Dependency | None:
        session = books.sessions.get(books.names.get((user_id, name), name))
        if session is not None:
            is_own = session.request.user_id == user_id
            return Dependency(session.session_id, None) if is_own else None
        ended = books.ended.get(name) or in_log.get(name)
        if ended is None or ended.user_id != user_id:
            return None
        return Dependency(name, ended.succeeded)

    return find


def _may_be_id(name: str) -> bool:
    return 0 < len(name) <= ID_MAX and name.isprintable()
