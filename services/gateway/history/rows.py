"""SQL of the audit read model: pages of timelines and of the whole log, and what was before."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from services.gateway.http.parameters import ListQuery
from services.gateway.reads.statements import Statement, Where

_FIELDS: Final = (
    "service, position, version, aggregate, key, type, at, actor_kind, actor_id, credential,"
    " acted_as, client_address, request_id, data"
)
_COLUMNS: Final = ", ".join(f"e.{name.strip()}" for name in _FIELDS.split(","))
_NEWEST: Final = "at desc, service desc, position desc"
_PRIOR: Final = """
    select w.number, f.type, f.data
      from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
                  $7::text[], $8::text[], $9::text[])
           with ordinality
           as w(service, aggregate, key, before, always, maybe, field, part_field, part, number)
     cross join lateral (
           select e.type, e.data from audit_events e
            where e.service = w.service and e.aggregate = w.aggregate and e.key = w.key
              and e.position < w.before
              and (e.type = any(string_to_array(w.always, ','))
                   or (e.type = any(string_to_array(w.maybe, ','))
                       and e.data::json -> w.field is not null))
              and (w.part is null or e.data::json ->> w.part_field = w.part)
            order by e.position desc limit 1) f
"""


class Subject(NamedTuple):
    """An object whose events one service tells."""

    service: str
    aggregate: str
    key: str


class Row(NamedTuple):
    """One event as it is kept; `data` is decoded, personal texts in it are sealed."""

    service: str
    position: int
    version: int
    aggregate: str
    key: str
    type: str
    at: datetime
    actor_kind: str
    actor_id: str
    credential: str | None
    acted_as: str | None
    client_address: str | None
    request_id: str | None
    data: dict[str, Any]


class Probe(NamedTuple):
    """Asks which event was the last before a position to assign a field, see `changes.Setters`."""

    service: str
    aggregate: str
    key: str
    before: int
    always: str
    maybe: str
    field: str
    part_field: str | None
    part: str | None


class Span(NamedTuple):
    """What of the whole log is wanted; empty and None is everything. `until` is not in it."""

    types: frozenset[str]
    services: frozenset[str]
    key: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    is_narrowed_by_type: bool = False


def rows(found: Iterable[asyncpg.Record]) -> list[Row]:
    """Return rows of the audit read model, decoded."""
    return [Row._make((*record[:-1], msgspec.json.decode(record[-1]))) for record in found]


def timeline_page(subject: Subject, query: ListQuery) -> Statement:
    """Return the statement of one page of an object's events, newest first; one row too many."""
    where = Where()
    service, aggregate, key = (where.add(value) for value in subject)
    most = query.limit + 1 + query.offset
    narrow = _timeline_narrowing(where, query)
    branches = [
        f"(select e.position from {table} e where e.service = {service}"  # noqa: S608  # constants
        f" and e.aggregate = {aggregate} and e.key = {key}{condition}"
        f" order by e.position desc limit {most:d})"
        for table, condition in narrow.items()
    ]
    sql = (
        f"select {_COLUMNS} from ({' union all '.join(branches)}) as found"  # noqa: S608  # as above
        f" join audit_events e on e.service = {service} and e.position = found.position"
        f" order by e.position desc limit {query.limit + 1:d} offset {query.offset:d}"
    )
    return Statement(sql, tuple(where.parameters))


def timeline_count(subject: Subject, query: ListQuery) -> Statement:
    """Return the statement that counts the events of an object."""
    where = Where()
    service, aggregate, key = (where.add(value) for value in subject)
    narrow = _timeline_narrowing(where, query._replace(after=None))
    counts = [
        f"(select count(*) from {table} e where e.service = {service}"  # noqa: S608  # as above
        f" and e.aggregate = {aggregate} and e.key = {key}{condition})"
        for table, condition in narrow.items()
    ]
    return Statement(f"select {' + '.join(counts)}", tuple(where.parameters))


def _timeline_narrowing(where: Where, query: ListQuery) -> dict[str, str]:
    """Return the further conditions on events of the object itself, and on those about it."""
    before = f" and e.position < {where.add(query.after[0])}::bigint" if query.after else ""
    types = dict(query.filters).get("type")
    if types is None:
        return {"audit_events": before, "audit_mentions": before}
    wanted = f"type = any({where.add(list(types))}::text[])"
    about = (
        " and exists (select from audit_events t where t.service = e.service"
        f" and t.position = e.position and t.{wanted})"
    )
    return {"audit_events": f"{before} and e.{wanted}", "audit_mentions": f"{before}{about}"}


def log_page(span: Span, query: ListQuery) -> Statement:
    """Return the statement of one page of the log, newest first; one row too many.

    Types are gone through one by one, each in the order of its own index: the newest of a rare
    type are found as fast as those of a common one.
    """
    where = Where()
    conditions = _span_conditions(where, span)
    if query.after is not None:
        at, service, position = (where.add(value) for value in query.after[:3])
        conditions.append(
            f"(e.at, e.service, e.position) < ({at}::timestamptz, {service}, {position}::bigint)"
        )
    ends = f"limit {query.limit + 1:d} offset {query.offset:d}"
    if span.is_narrowed_by_type and not span.actors and not span.key:
        types = where.add(sorted(span.types))
        narrowed = " and ".join(["e.type = wanted.type", *conditions])
        sql = (
            f"select {_COLUMNS} from unnest({types}::text[]) as wanted(type)"  # noqa: S608  # constants
            f" cross join lateral (select * from audit_events e where {narrowed}"
            f" order by {_NEWEST} limit {query.limit + 1 + query.offset:d}) e"
            f" order by {_NEWEST} {ends}"
        )
        return Statement(sql, tuple(where.parameters))
    if span.is_narrowed_by_type:
        conditions.append(f"e.type = any({where.add(sorted(span.types))}::text[])")
    narrowed = f" where {' and '.join(conditions)}" if conditions else ""
    sql = f"select {_COLUMNS} from audit_events e{narrowed} order by {_NEWEST} {ends}"  # noqa: S608  # as above
    return Statement(sql, tuple(where.parameters))


def log_count(span: Span) -> Statement:
    """Return the statement that counts what is wanted of the log.

    How many there are of each type is kept as they come; only what asks for more is counted.
    """
    where = Where()
    conditions = _span_conditions(where, span)
    if span.is_narrowed_by_type:
        conditions.append(f"e.type = any({where.add(sorted(span.types))}::text[])")
    is_known = not (span.key or span.actors or span.since or span.until)
    source = "coalesce(sum(e.events), 0)::bigint from audit_counts e"
    source = source if is_known else "count(*) from audit_events e"
    narrowed = f" where {' and '.join(conditions)}" if conditions else ""
    return Statement(f"select {source}{narrowed}", tuple(where.parameters))  # as above


def _span_conditions(where: Where, span: Span) -> list[str]:
    conditions: list[str] = []
    if span.services:
        conditions.append(f"e.service = any({where.add(sorted(span.services))}::text[])")
    if span.key:
        conditions.append(f"e.key = any({where.add(list(span.key))}::text[])")
    if span.actors:
        conditions.append(f"e.actor_id = any({where.add(list(span.actors))}::text[])")
    if span.since is not None:
        conditions.append(f"e.at >= {where.add(span.since)}::timestamptz")
    if span.until is not None:
        conditions.append(f"e.at < {where.add(span.until)}::timestamptz")
    return conditions


def prior(probes: Sequence[Probe]) -> Statement:
    """Return the statement that answers all probes: number from 1, type and data, if there is."""
    return Statement(_PRIOR, tuple(list(column) for column in zip(*probes, strict=True)))
