"""The console's live stream: rendered rows for what changed, in the reader's language.

One stream a tab. `row` carries a row that replaces the one of its id, `changed` names a part of
the page to be read again. The hub coalesces: a topic is written at most four times a second.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Request, get
from litestar.response import Stream

from services.gateway.http.problems import Refused, malformed
from services.gateway.live import INTERVAL_S, Change, Subscription
from services.gateway.live_topics import allowed_topics
from services.gateway.pages import agents, sessions
from services.gateway.pages.console import Console
from services.gateway.pages.troubles import known_troubles
from services.gateway.pages.visits import Visit
from shared.kernel.rejections import Rejection, unavailable

# A burst is not sent row by row: the page reads its table once instead.
ROWS_AT_ONCE_MAX: Final = 20
LOOK_EVERY_S: Final = 5.0
ON_EVERY_PAGE: Final = frozenset({"settings"})  # the announcement
_ROWS: Final = {
    "sessions": sessions.rows,
    "session": sessions.rows,
    "agents": agents.rows,
    "agent": agents.rows,
}
_ALSO: Final = {"agents": "totals"}


@get("/live")
async def live(request: Request[Any, Any, Any], console: Console) -> Stream:
    """Stream what changes of the topics that the page names."""
    visit = Visit(request, console)
    principal = visit.caller()
    topics = frozenset(filter(None, visit.query().get("topics", "").split(",")))
    if not topics:
        raise Refused(malformed("malformed_query", "Name the topics to follow."))
    subscription = await allowed_topics(visit.gateway, principal, topics | ON_EVERY_PAGE)
    if isinstance(subscription, Rejection):
        raise Refused(subscription)
    if subscription is None:
        raise Refused(unavailable("too_many_streams", "Too many pages are open; close one.", 5))
    return Stream(
        _events(visit, subscription),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _events(visit: Visit, subscription: Subscription) -> AsyncIterator[bytes]:
    # The first line lets the browser know at once that somebody listens.
    yield b": open\n\n"
    known = await known_troubles(visit)
    try:
        while not subscription.is_closed:
            changes = await subscription.next(LOOK_EVERY_S)
            if subscription.is_closed:
                return
            # Whoever is away can't say so: it is noticed here, by their silence.
            before, known = known, await known_troubles(visit)
            if known != before:
                yield _event("changed", "system").encode()
            if not changes:
                yield b": still here\n\n"
                continue
            for change in changes:
                yield await _written(visit, change)
            await asyncio.sleep(INTERVAL_S)  # coalesces what changes meanwhile
    finally:
        visit.gateway.live.unsubscribe(subscription)


async def _written(visit: Visit, change: Change) -> bytes:
    """Return one change as events: the rows themselves, or which part to read again."""
    kind = change.topic.partition(":")[0]
    said = [_event("changed", _ALSO[kind])] if kind in _ALSO else []
    if kind in _ROWS and 0 < len(change.ids) <= ROWS_AT_ONCE_MAX:
        said += [_event("row", row, change.mark) for row in await _ROWS[kind](visit, change.ids)]
    else:
        said.append(_event("changed", kind))
    return "".join(said).encode()


def _event(name: str, data: str, mark: str | None = None) -> str:
    # Rows hold no text whose line breaks matter, and an event's data is one line.
    line = " ".join(data.split("\n"))
    return f"{f'id: {mark}' if mark else ': '}\nevent: {name}\ndata: {line}\n\n"
