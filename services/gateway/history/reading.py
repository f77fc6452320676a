"""Answers what has happened: to one object, or anywhere."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, Protocol

import asyncpg
import msgspec

from services.gateway.auth.permissions import may, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.documents.events import EventDocument
from services.gateway.history.changes import stated_before
from services.gateway.history.entries import Before, Telling, answered, persons, probes
from services.gateway.history.rows import (
    Row,
    Span,
    Subject,
    log_count,
    log_page,
    prior,
    rows,
    timeline_count,
    timeline_page,
)
from services.gateway.http.parameters import ListQuery, encode_cursor
from services.gateway.reads.pages import Page
from services.gateway.reads.statements import Statement, Where, restrict
from services.gateway.reads.users import USERS
from shared.kernel.clock import render_time
from shared.kernel.rejections import Rejection, unavailable
from shared.projections.projection import NotYet
from shared.security.persons import PersonKey

PROJECTION: Final = "events"
SHOWN_WITHIN_S: Final = 2.0
WALKED: Final = 250  # entries of the log in one piece
_SHOWN: Final = """
    select c.source, max(c.position) as position from checkpoints c
      join projection_generations g on g.projection = c.projection and g.generation = c.generation
     where g.state = 'live' and c.projection <> $1 group by c.source
"""
_AWAY: Final = unavailable(
    "service_away", "The users service is away: personal data of the past cannot be opened.", 2
)


class Keys(Protocol):
    """Opens what is said of persons; raises NotYet when it cannot be known."""

    async def get(self, user_ids: Sequence[str]) -> Mapping[str, PersonKey | None]:
        """Return the key of each person, None for an erased one."""
        ...


class Progress(Protocol):
    """How far the read models are."""

    async def wait_for(
        self, source: str, position: int, timeout_s: float, *, projections: Sequence[str]
    ) -> bool:
        """Wait until a position is shown; False when it is not in time."""
        ...


class History:
    """Reads the audit read model, which whoever reads it waits for."""

    def __init__(self, pool: asyncpg.Pool, keys: Keys, progress: Progress) -> None:
        self._pool = pool
        self._keys = keys
        self._progress = progress

    async def timeline(
        self, principal: Principal, subject: Subject, query: ListQuery
    ) -> Page | Rejection:
        """Return one page of what happened to an object that the caller may read."""
        await self._catch_up((subject.service,))
        found = await self._fetch(timeline_page(subject, query))
        total = query.offset + len(found)
        if query.after is not None or len(found) > query.limit or not found:
            total = await self._count(timeline_count(subject, query))
        after = [(row.position, "") for row in found]
        return await self._page(principal, query, found, total, after)

    async def log(self, principal: Principal, span: Span, query: ListQuery) -> Page | Rejection:
        """Return one page of everything that happened anywhere."""
        await self._catch_up(tuple(span.services))
        found = await self._fetch(log_page(span, query))
        total = query.offset + len(found)
        if query.after is not None or len(found) > query.limit or not found:
            total = await self._count(log_count(span))
        after = [(render_time(row.at), f"{row.service}:{row.position}") for row in found]
        return await self._page(principal, query, found, total, after)

    async def whole_log(
        self, principal: Principal, span: Span, query: ListQuery
    ) -> AsyncGenerator[list[EventDocument] | Rejection, None]:
        """Yield everything that happened before now, piece by piece; a refusal ends it."""
        await self._catch_up(tuple(span.services))
        query = query._replace(limit=WALKED, offset=0, after=None)
        while True:
            found = await self._fetch(log_page(span, query))
            yield await self._told(principal, found[:WALKED])
            if len(found) <= WALKED:
                return
            last = found[WALKED - 1]
            query = query._replace(after=(last.at, last.service, last.position))

    async def _page(
        self,
        principal: Principal,
        query: ListQuery,
        found: list[Row],
        total: int,
        after: Sequence[tuple[object, ...]],
    ) -> Page | Rejection:
        has_more = len(found) > query.limit
        cursor = encode_cursor(query.sort, after[query.limit - 1]) if has_more else None
        entries = await self._told(principal, found[: query.limit])
        if isinstance(entries, Rejection):
            return entries
        items = tuple(msgspec.json.encode(entry).decode() for entry in entries)
        return Page(items, total, cursor)

    async def _told(
        self, principal: Principal, shown: Sequence[Row]
    ) -> list[EventDocument] | Rejection:
        before = await self._before(shown)
        try:
            keys = await self._keys_of(shown)
        except NotYet:
            return _AWAY
        telling = Telling(
            principal,
            tells_all=may(principal, "events.list"),
            keys=keys,
            names=await self._names(principal, shown),
        )
        return [telling.entry(row, held) for row, held in zip(shown, before, strict=True)]

    async def _catch_up(self, services: Sequence[str]) -> None:
        """Wait until what every other read shows by now is in the audit read model too."""
        wanted = [
            (record["source"], record["position"])
            for record in await self._pool.fetch(_SHOWN, PROJECTION)
            if not services or record["source"] in services
        ]
        waits = (
            self._progress.wait_for(source, position, SHOWN_WITHIN_S, projections=(PROJECTION,))
            for source, position in wanted
        )
        await asyncio.gather(*waits)

    async def _fetch(self, statement: Statement) -> list[Row]:
        return rows(await self._pool.fetch(statement.sql, *statement.parameters))

    async def _count(self, statement: Statement) -> int:
        count: int = await self._pool.fetchval(statement.sql, *statement.parameters)
        return count

    async def _before(self, found: Sequence[Row]) -> list[dict[tuple[str, str | None], Before]]:
        """Return for each row what its fields held before, by field and part."""
        before: list[dict[tuple[str, str | None], Before]] = [
            {
                (name, None): Before(value)
                for name, value in stated_before(row.service, row.type, row.data).items()
            }
            for row in found
        ]
        asked = [
            (index, row, field, probe)
            for index, row in enumerate(found)
            for field, probe in probes(row).items()
        ]
        if not asked:
            return before
        statement = prior([probe for _, _, _, probe in asked])
        for record in await self._pool.fetch(statement.sql, *statement.parameters):
            index, row, (name, part), _ = asked[record["number"] - 1]
            data = msgspec.json.decode(record["data"])
            held = answered(row.service, record["type"], data, name, part)
            if held is not None:
                before[index][name, part] = held
        return before

    async def _keys_of(self, found: Sequence[Row]) -> Mapping[str, PersonKey | None]:
        """Return the keys of those whose data is in these rows, but of nobody who was erased."""
        wanted = persons(found)
        if not wanted:
            return {}
        erased = await self._pool.fetch(
            "select id from users where id = any($1::text[]) and erased", list(wanted)
        )
        kept = wanted - {record["id"] for record in erased}
        return await self._keys.get(sorted(kept)) if kept else {}

    async def _names(self, principal: Principal, found: Sequence[Row]) -> dict[str, str | None]:
        """Return what the actors in the caller's sight are called."""
        actors = {row.actor_id for row in found if row.actor_kind == "user"}
        scope = scope_of(principal, USERS.read_action)
        if not actors or scope == "none":
            return {}
        where = Where()
        where.conditions.append(f"id = any({where.add(list(actors))}::text[])")
        restrict(where, principal, None if scope == "all" else USERS.sights[scope])
        sql = f"select id, username from users{where.sql()}"  # noqa: S608  # constants
        records = await self._pool.fetch(sql, *where.parameters)
        return {record["id"]: record["username"] or None for record in records}
