"""`/v1/sessions/{id}/stats`, what a session uses now; `/v1/sessions/statistics`, what all did."""

from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.history import SPAN
from services.gateway.api.routing import answer, call, gateway_of, operation, plain
from services.gateway.documents.statistics import SessionStatistics
from services.gateway.documents.stats import SessionStats
from services.gateway.http.moments import take_moments
from services.gateway.http.parameters import ListQuery, ListSpec, parse_list, query_pairs
from services.gateway.http.problems import Refused, malformed
from services.gateway.reads.session_statistics import ACTION as STATISTICS
from services.gateway.reads.session_statistics import Span
from services.gateway.reads.session_stats import ACTION, stats_of
from services.gateway.reads.sessions import SESSIONS
from shared.kernel.clock import Clock
from shared.kernel.rejections import FieldError, Rejection

SPAN_DEFAULT: Final = timedelta(days=30)
SPAN_MAX: Final = timedelta(days=366)
_NARROWED: Final = ListSpec(tuple(field._replace(sortable=False) for field in SESSIONS.spec.fields))
_PAGING: Final = frozenset({"limit", "offset", "cursor", "sort"})


@get("/v1/sessions/{key:str}/stats", opt=operation(ACTION, answer=SessionStats))
async def stats(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return what a session uses beside what it was given; where there is nothing, `why`.

    Figures are new every few seconds: the topic `stats:<session>` of `/live` tells when.
    """
    gateway, asked = plain(request)
    found = await stats_of(gateway, asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


@get(
    "/v1/sessions/statistics",
    opt=operation(STATISTICS, answer=SessionStatistics, narrowed=_NARROWED, parameters=SPAN),
)
async def statistics(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Count sessions, how long they waited and ran, and what they held.

    Of the last 30 days unless `from` and `to` say otherwise, of 366 days at most, and narrowed as
    the list of sessions is.
    """
    gateway, asked = gateway_of(request), call(request)
    span, query = asked_span(asked.query, gateway.clock)
    found = await gateway.statistics.of_sessions(asked.caller(), span, query)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


def asked_span(text: str, clock: Clock) -> tuple[Span, ListQuery]:
    """Return the span and the filters that a query asks for; raises Refused (400)."""
    taken = take_moments(text, "from", "to")
    if isinstance(taken, Rejection):
        raise Refused(taken)
    pairs = query_pairs(taken.rest)
    if isinstance(pairs, Rejection):
        raise Refused(pairs)
    for name, _ in pairs:
        if name in _PAGING:
            raise _refused(name, "unknown_parameter", f"Numbers have no pages: leave out '{name}'.")
    query = parse_list(SESSIONS.spec, taken.rest)
    if isinstance(query, Rejection):
        raise Refused(query)
    now = clock.now()
    to = taken.moments.get("to", now)
    since = taken.moments.get("from", to - SPAN_DEFAULT)
    if not since < to:
        raise _refused("from", "out_of_range", "from lies before to.")
    if to - since > SPAN_MAX:
        text = f"from and to are {SPAN_MAX.days} days apart at most; ask for a shorter span."
        raise _refused("from", "out_of_range", text)
    return Span(since, to, now), query


def _refused(name: str, code: str, message: str) -> Refused:
    return Refused(malformed("malformed_query", message, (FieldError(name, code, message),)))


ROUTES: Final = [statistics, stats]
