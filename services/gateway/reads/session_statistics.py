"""Sessions of a span of time in numbers: one statement over those that the caller sees."""

import asyncio
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from services.gateway.auth.permissions import forbidden, may, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.documents.statistics import SessionStatistics
from services.gateway.http.parameters import ListQuery
from services.gateway.reads.models import ReadModels
from services.gateway.reads.sessions import SESSIONS
from services.gateway.reads.statements import Statement, Where, narrow, restrict
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection, unavailable

ACTION: Final = "sessions.statistics"
AT_ONCE: Final = 2
PATIENCE_S: Final = 5.0
STATEMENT_S: Final = 20.0
LISTED_MAX: Final = 100
RETRY_AFTER_S: Final = 5
_SPAN: Final = """
    with s as materialized (
        select type, status, result, user_id, resource_group, cpu_milli, accelerators_milli,
               mem_bytes, created_at, scheduled_at, started_at, terminated_at,
               case when status = 'PENDING' or scheduled_at is null then 0::float8 else greatest(
                   0::float8, extract(epoch from least(coalesce(terminated_at, {now}), {to})
                                                 - greatest(scheduled_at, {since}))::float8
               ) / 3600 end as held_h
          from sessions{where})
"""
_COUNT: Final = """
    (select coalesce(json_object_agg({name}, n), '{{}}') from (
        select {name}, count(*) as n from s where created_at >= {since} group by {name}) as x)
"""
_DURATIONS: Final = """
    (select row_to_json(x) from (
        select count(*), avg(v) as mean_s, max(v) as max_s,
               percentile_cont(0.5) within group (order by v) as p50_s,
               percentile_cont(0.95) within group (order by v) as p95_s
          from (select extract(epoch from {until} - {start})::float8 as v from s
                 where {until} >= {since} and {until} < {to} and {start} is not null) as y) as x)
"""
_USE: Final = """
    count(*) as sessions,
    coalesce(sum(held_h * cpu_milli), 0) / 1000 as cpu_hours,
    coalesce(sum(held_h * accelerators_milli), 0) / 1000 as gpu_hours,
    coalesce(sum(held_h * mem_bytes), 0) / 1073741824 as mem_gib_hours
"""
_MOST: Final = """
    (select coalesce(json_agg(row_to_json(x)), '[]') from (
        select {name}, {use} from s where held_h > 0 group by {name}
         order by cpu_hours desc, {name} limit {most}) as x)
"""


class Span(NamedTuple):
    """From a time to before another; `now` is how far what has not ended counts."""

    since: datetime
    to: datetime
    now: datetime


class Statistics:
    """Answers a few callers at once, as each reads much."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of_sessions(
        self, principal: Principal, span: Span, query: ListQuery
    ) -> SessionStatistics | Rejection:
        """Return the numbers of what the caller sees; refuses (503) when that takes too long."""
        scope = scope_of(principal, ACTION)
        if scope == "none":
            return forbidden(ACTION)
        sight = None if scope == "all" else SESSIONS.sights[scope]
        statement = statistics_statement(principal, sight, span, query)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._room.acquire()
        except TimeoutError:
            text = "Many ask for statistics now; ask again in a few seconds."
            return unavailable("busy", text, RETRY_AFTER_S)
        try:
            (row,) = await self._reads.pool.fetch(
                statement.sql, *statement.parameters, timeout=STATEMENT_S
            )
        except TimeoutError:
            text = f"That took longer than {STATEMENT_S:.0f} s; ask for a shorter span."
            return unavailable("too_much", text, RETRY_AFTER_S)
        finally:
            self._room.release()
        return await self._rendered(principal, span, dict(row))

    async def _rendered(
        self, principal: Principal, span: Span, row: dict[str, str]
    ) -> SessionStatistics:
        found: dict[str, Any] = {name: msgspec.json.decode(text) for name, text in row.items()}
        emails = await self._emails(principal, [one["user_id"] for one in found["users"]])
        for one in found["users"]:
            one["email"] = emails.get(one["user_id"])
        whole = {"from": span.since, "to": span.to, "submitted": sum(found["by_status"].values())}
        return msgspec.convert(whole | found, SessionStatistics)

    async def _emails(self, principal: Principal, user_ids: list[str]) -> dict[str, str]:
        """Return the addresses of those whom the caller may see."""
        if not may(principal, USERS.list_action):
            return {}
        where = Where()
        where.conditions.append(f"id = any({where.add(user_ids)}::text[]) and not erased")
        scope = scope_of(principal, USERS.list_action)
        restrict(where, principal, None if scope == "all" else USERS.sights[scope])
        sql = f"select id, email from users{where.sql()}"  # noqa: S608  # constants of ours
        rows = await self._reads.pool.fetch(sql, *where.parameters)
        return {row[0]: row[1] for row in rows}


def statistics_statement(
    principal: Principal, sight: str | None, span: Span, query: ListQuery
) -> Statement:
    """Return the statement of all numbers; each column of its one row is JSON."""
    where = Where()
    at = {
        "since": f"{where.add(span.since)}::timestamptz",
        "to": f"{where.add(span.to)}::timestamptz",
    }
    now = f"{where.add(span.now)}::timestamptz"
    where.conditions.append(
        f"created_at < {at['to']} and (terminated_at is null or terminated_at >= {at['since']})"
    )
    restrict(where, principal, sight)
    narrow(where, SESSIONS, query)
    listed = {"use": _USE, "most": LISTED_MAX}
    columns = {
        "by_status": _COUNT.format(name="status", **at),
        "by_type": _COUNT.format(name="type", **at),
        "by_result": _COUNT.format(name="result", **at),
        "waiting": _DURATIONS.format(start="created_at", until="scheduled_at", **at),
        "running": _DURATIONS.format(start="started_at", until="terminated_at", **at),
        "use": f"(select row_to_json(x) from (select {_USE} from s where held_h > 0) as x)",  # noqa: S608  # as below
        "users": _MOST.format(name="user_id", **listed),
        "resource_groups": _MOST.format(name="resource_group", **listed),
    }
    selected = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    sql = f"{_SPAN.format(where=where.sql(), now=now, **at)} select {selected}"
    return Statement(sql, tuple(where.parameters))
