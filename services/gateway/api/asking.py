"""What a read asks for: a page or one object, as it is now or as it was at a moment."""

from datetime import datetime
from typing import Final

from services.gateway.api.routing import Parameter
from services.gateway.http.calls import Call
from services.gateway.http.moments import past_moment, take_moments, without_history
from services.gateway.http.parameters import ListQuery, only_parameters, parse_list
from services.gateway.http.problems import Refused
from services.gateway.reads.resources import Resource
from shared.kernel.rejections import Rejection

AT: Final = Parameter(
    "at", {"type": "string", "format": "date-time"}, "As it was at this time; now unless given."
)


def asked_list(resource: Resource, call: Call, now: datetime) -> ListQuery:
    """Return what is asked of a list; raises Refused (400)."""
    return asked_of(resource, call.query, now)


def asked_of(resource: Resource, text: str, now: datetime) -> ListQuery:
    """Return what a query string asks of a list; raises Refused (400)."""
    at, rest = _moment(resource, text, now)
    query = parse_list(resource.spec, rest)
    if isinstance(query, Rejection):
        raise Refused(query)
    return query if at is None else query._replace(at=at)


def asked_moment(resource: Resource, query: str, now: datetime) -> datetime | None:
    """Return the moment at which one object is asked for, None for now; raises Refused (400)."""
    at, rest = _moment(resource, query, now)
    if rest:
        found = only_parameters(rest, *(("at",) if resource.versions is not None else ()))
        if isinstance(found, Rejection):
            raise Refused(found)
    return at


def _moment(resource: Resource, query: str, now: datetime) -> tuple[datetime | None, str]:
    if "at=" not in query:
        return None, query
    if resource.versions is None:
        refusal = without_history(resource.noun, query)
        if refusal is not None:
            raise Refused(refusal)
        return None, query
    taken = take_moments(query, "at")
    if isinstance(taken, Rejection):
        raise Refused(taken)
    at = past_moment(taken, now)
    if isinstance(at, Rejection):
        raise Refused(at)
    return at, taken.rest
