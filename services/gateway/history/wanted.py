"""What a caller may ask of a timeline and of the audit log, and what the query means."""

from typing import Final

from services.gateway.history.changes import AGGREGATES, SERVICES, types_of
from services.gateway.history.rows import Span
from services.gateway.http.moments import take_moments
from services.gateway.http.parameters import (
    Field,
    FieldKind,
    ListQuery,
    ListSpec,
    cursor_time,
    parse_list,
)
from services.gateway.http.problems import malformed
from shared.kernel.rejections import FieldError, Rejection

TIMELINE: Final = ListSpec(
    (
        Field("position", FieldKind.NUMBER, filterable=False),
        Field("type", FieldKind.EXACT, sortable=False, choices=tuple(sorted(types_of()))),
    ),
    default_sort="-position",
)
LOG: Final = ListSpec(
    (
        Field("at", FieldKind.TIME, filterable=False),
        Field("service", FieldKind.EXACT, sortable=False, choices=SERVICES),
        Field("type", FieldKind.EXACT, sortable=False, choices=tuple(sorted(types_of()))),
        Field("aggregate", FieldKind.EXACT, sortable=False, choices=AGGREGATES),
        Field("id", FieldKind.EXACT, sortable=False),
        Field("actor", FieldKind.EXACT, sortable=False),
    ),
    default_sort="-at",
)


def timeline_query(query: str) -> ListQuery | Rejection:
    """Parse what is asked of a timeline; its cursor is the position of the last entry."""
    asked = _newest_first(TIMELINE, query)
    if isinstance(asked, Rejection) or asked.after is None:
        return asked
    position = asked.after[0]
    if not isinstance(position, int) or not 0 <= position < 2**62:
        return _unknown_cursor()
    return asked._replace(after=(position,))


def wanted_of_log(query: str) -> tuple[Span, ListQuery] | Rejection:
    """Parse what is asked of the audit log; its cursor is time, service and position."""
    taken = take_moments(query, "from", "to")
    if isinstance(taken, Rejection):
        return taken
    asked = _newest_first(LOG, taken.rest)
    if isinstance(asked, Rejection):
        return asked
    if asked.after is not None:
        after = _log_cursor(asked.after)
        if after is None:
            return _unknown_cursor()
        asked = asked._replace(after=after)
    filters = {name: tuple(map(str, values)) for name, values in asked.filters}
    types = frozenset(filters["type"]) if "type" in filters else types_of()
    for name, of in (("service", "service"), ("aggregate", "aggregate")):
        if name in filters:
            types &= frozenset().union(*(types_of(**{of: value}) for value in filters[name]))
    span = Span(
        types=types,
        services=frozenset(filters.get("service", ())),
        key=filters.get("id", ()),
        actors=filters.get("actor", ()),
        since=taken.moments.get("from"),
        until=taken.moments.get("to"),
        is_narrowed_by_type=bool(filters.keys() & {"type", "service", "aggregate"}),
    )
    return span, asked


def _newest_first(spec: ListSpec, query: str) -> ListQuery | Rejection:
    asked = parse_list(spec, query)
    if isinstance(asked, Rejection) or asked.sort[0].descending:
        return asked
    message = f"What has happened is told from the newest on: sort={spec.default_sort}."
    return malformed("malformed_query", message, (FieldError("sort", "newest_first", message),))


def _log_cursor(after: tuple[object, ...]) -> tuple[object, ...] | None:
    at = cursor_time(after[0])
    service, _, position = str(after[1]).partition(":")
    if at is None or service not in SERVICES or not position.isdecimal() or len(position) > 18:
        return None
    return at, service, int(position)


def _unknown_cursor() -> Rejection:
    message = "This cursor is not of this list in this order."
    return malformed("malformed_query", message, (FieldError("cursor", "unknown_cursor", message),))
