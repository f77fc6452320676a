"""Moments in a query: RFC 3339, taken out of it before the rest is read as a list's."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from services.gateway.http.parameters import query_pairs
from services.gateway.http.problems import malformed
from services.gateway.http.times import parse_moment
from shared.kernel.rejections import FieldError, Rejection


class Taken(NamedTuple):
    """The moments of a query by name, and what is left of it."""

    moments: Mapping[str, datetime]
    rest: str


def take_moments(query: str, *names: str) -> Taken | Rejection:
    """Take the parameters of these names out of a query; each is one RFC 3339 time."""
    if not any(f"{name}=" in query or query.endswith(name) for name in names):
        return Taken({}, query)
    pairs = query_pairs(query)
    if isinstance(pairs, Rejection):
        return pairs
    moments: dict[str, datetime] = {}
    for name, value in pairs:
        if name not in names:
            continue
        moment = parse_moment(value)
        if name in moments or moment is None:
            message = f"{name} is one time such as 2026-01-31T23:59:59Z (RFC 3339)."
            error = FieldError(name, "not_a_time", message)
            return malformed("malformed_query", message, (error,))
        moments[name] = moment
    return Taken(moments, urlencode([pair for pair in pairs if pair[0] not in names]))


def past_moment(taken: Taken, now: datetime) -> datetime | Rejection | None:
    """Return the moment that `at` names, if it does; what is still to come cannot be shown."""
    at = taken.moments.get("at")
    if at is not None and at > now:
        message = "at lies in the future; what will be is not known yet."
        return malformed("malformed_query", message, (FieldError("at", "in_the_future", message),))
    return at


def without_history(noun: str, query: str) -> Rejection | None:
    """Refuse `at` clearly where only the present state is kept."""
    taken = take_moments(query, "at")
    if isinstance(taken, Rejection) or not taken.moments:
        return None
    message = (
        f"There is no state of a {noun.replace('_', ' ')} in the past to show; its timeline tells"
        " what has changed. Users, keypairs, policies and presets can be read `at` a moment."
    )
    return malformed("malformed_query", message, (FieldError("at", "no_history", message),))
