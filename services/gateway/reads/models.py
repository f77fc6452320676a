"""The read models of this process: one query a page, remembered until an event moves them."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import asyncpg
import msgspec

from services.gateway.auth.permissions import forbidden, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import ListQuery, encode_cursor
from services.gateway.reads.groups import Groups
from services.gateway.reads.pages import Page
from services.gateway.reads.resources import Resource
from services.gateway.reads.statements import (
    Rare,
    Statement,
    count_statement,
    is_sought,
    known_statement,
    one_statement,
    page_statement,
)
from shared.kernel.clock import Clock, SystemClock, render_time
from shared.kernel.rejections import Rejection, not_found

T = TypeVar("T")
_REMEMBERED_MAX: Final = 1_024
_Versions = tuple[int, ...]
Decorate = Callable[[list[tuple[str, str]]], Awaitable[list[str]]]
DecoratePast = Callable[[list[tuple[str, str]], datetime], Awaitable[list[str]]]


class Positions(Protocol):
    """Where the read models stand in each service's log."""

    def position(self, source: str) -> int:
        """Return the last position whose changes are visible."""
        ...


class ReadModels:
    """Answers lists and single documents to whoever may see them.

    A page that shows nothing live is remembered together with the positions it was read at: it is
    read again only when one of its sources has moved.
    """

    def __init__(
        self, pool: asyncpg.Pool, positions: Positions, clock: Clock | None = None
    ) -> None:
        self.pool = pool
        self.clock = clock or SystemClock()
        self._positions = positions
        self._remembered: OrderedDict[object, tuple[_Versions, Any]] = OrderedDict()
        self._decorators: dict[str, Decorate] = {}
        self._past_decorators: dict[str, DecoratePast] = {}
        self._groups = Groups(pool, self.clock)

    def forget(self) -> None:
        """Drop every remembered page, as the tables behind them were changed over."""
        self._remembered.clear()

    def decorate(self, resource: Resource, decorator: Decorate) -> None:
        """Let `decorator` add live members to (id, document) pairs of a noun."""
        self._decorators[resource.noun] = decorator

    def decorate_past(self, resource: Resource, decorator: DecoratePast) -> None:
        """Let `decorator` complete (id, document) pairs of a noun as they were at a moment."""
        self._past_decorators[resource.noun] = decorator

    async def page(
        self, resource: Resource, principal: Principal, query: ListQuery
    ) -> Page | Rejection:
        """Return one page of what the caller sees."""
        scope = scope_of(principal, resource.list_action)
        if scope == "none":
            return forbidden(resource.list_action)
        sight = None if scope == "all" else resource.sights[scope]
        key = (resource.noun, sight, _viewer(principal, sight), query)
        versions = self._versions(resource)
        if not resource.is_live:
            known = self._remembered.get(key)
            if known is not None and known[0] == versions:
                self._remembered.move_to_end(key)
                page: Page = known[1]
                return page
        rare = await self._rare(resource, principal, sight, query)
        statement = page_statement(resource, principal, sight, query, rare)
        if isinstance(statement, Rejection):
            return statement
        rows = await self.pool.fetch(statement.sql, *statement.parameters)
        total = await self._total(resource, principal, sight, query, len(rows))
        shown = rows[: query.limit]
        cursor = _cursor(query, shown[-1]) if len(rows) > query.limit else None
        items = await self.decorated(resource, [(row[0], row[1]) for row in shown], query.at)
        page = Page(tuple(items), total, cursor)
        if not resource.is_live:
            self._remember(key, versions, page)
        return page

    async def document(
        self, resource: Resource, principal: Principal, key: str, at: datetime | None = None
    ) -> str | Rejection:
        """Return one document as JSON text; what the caller does not see is not found."""
        text = await self.stored(resource, principal, key, at)
        if isinstance(text, Rejection):
            return text
        return (await self.decorated(resource, [(key, text)], at))[0]

    async def stored(
        self, resource: Resource, principal: Principal, key: str, at: datetime | None = None
    ) -> str | Rejection:
        """Return one document without what is live in it, as decisions need no more."""
        scope = scope_of(principal, resource.read_action)
        if scope == "none":
            return forbidden(resource.read_action)
        if "\0" in key:
            return not_found(resource.noun, key[:64])
        sight = None if scope == "all" else resource.sights[scope]
        statement = one_statement(resource, principal, sight, key, at)
        text: str | None = await self.pool.fetchval(statement.sql, *statement.parameters)
        return not_found(resource.noun, key[:64]) if text is None else text

    async def visible(self, resource: Resource, principal: Principal, key: str) -> Rejection | None:
        """Return why the caller may not read an object, or what is known of one that is gone.

        None when they may.
        """
        found = await self.stored(resource, principal, key)
        if not isinstance(found, Rejection):
            return None
        scope = scope_of(principal, resource.read_action)
        if found.kind == "not_found" and resource.versions is not None and "\0" not in key:
            sight = None if scope == "all" else resource.sights[scope]
            statement = known_statement(resource, principal, sight, key)
            if await self.pool.fetchval(statement.sql, *statement.parameters):
                return None
        return found

    async def documents(self, resource: Resource, keys: list[str]) -> list[str]:
        """Return these documents in this order, as far as they exist, whoever may see them."""
        rows = await self.pool.fetch(
            f"select id, doc from {resource.table} where id = any($1::text[])",  # noqa: S608  # our constant
            keys,
        )
        found = {row[0]: row[1] for row in rows}
        there = [(key, found[key]) for key in keys if key in found]
        return await self.decorated(resource, there)

    async def decoded(
        self, resource: Resource, principal: Principal, key: str
    ) -> dict[str, Any] | Rejection:
        """Return one document decoded, for pages and for decisions."""
        text = await self.document(resource, principal, key)
        if isinstance(text, Rejection):
            return text
        found: dict[str, Any] = msgspec.json.decode(text)
        return found

    async def known(
        self, key: object, sources: tuple[str, ...], load: Callable[[], Awaitable[T]]
    ) -> T:
        """Return what `load` gave when it was last called since one of the sources has moved."""
        versions = tuple(self._positions.position(source) for source in sources)
        known = self._remembered.get(key)
        if known is not None and known[0] == versions:
            self._remembered.move_to_end(key)
            remembered: T = known[1]
            return remembered
        found = await load()
        self._remember(key, versions, found)
        return found

    async def decorated(
        self, resource: Resource, found: list[tuple[str, str]], at: datetime | None = None
    ) -> list[str]:
        """Return (id, document) pairs of a noun with what is live in them, or was at a moment."""
        if at is not None and found:
            past = self._past_decorators.get(resource.noun)
            return [text for _, text in found] if past is None else await past(found, at)
        decorator = self._decorators.get(resource.noun)
        if decorator is None or not found:
            return [text for _, text in found]
        return await decorator(found)

    async def _total(
        self,
        resource: Resource,
        principal: Principal,
        sight: str | None,
        query: ListQuery,
        rows: int,
    ) -> int:
        """Count only when the first page does not tell."""
        if query.after is None and rows <= query.limit and (rows or not query.offset):
            return query.offset + rows
        return await self._count(resource, principal, sight, query)

    async def _rare(
        self, resource: Resource, principal: Principal, sight: str | None, query: ListQuery
    ) -> Rare | None:
        """Return how to seek a piece of text that is in so few documents that they come first.

        Going through n documents in order fills a page of p after n * p / m of them when m hold
        the piece; finding and sorting those costs m. So it is rare up to the root of n * p.
        """
        if not is_sought(resource, query):
            return None
        matching = await self._count(resource, principal, sight, query)
        everything = await self._count(resource, principal, sight, query._replace(filters=()))
        is_rare = matching * matching <= everything * query.limit
        return await self._groups.rare(resource.table) if is_rare else None

    async def _count(
        self, resource: Resource, principal: Principal, sight: str | None, query: ListQuery
    ) -> int:
        """Count what a list holds, only once until something moves."""
        key = (resource.noun, sight, _viewer(principal, sight), query.filters, query.at)
        versions = self._versions(resource)
        known = self._remembered.get(key)
        if known is not None and known[0] == versions:
            remembered: int = known[1]
            return remembered
        rare = await self._groups.rare(resource.table) if is_sought(resource, query) else None
        statement: Statement = count_statement(resource, principal, sight, query, rare)
        total: int = await self.pool.fetchval(statement.sql, *statement.parameters)
        self._remember(key, versions, total)
        return total

    def _versions(self, resource: Resource) -> _Versions:
        return tuple(self._positions.position(source) for source in resource.sources)

    def _remember(self, key: object, versions: _Versions, value: object) -> None:
        self._remembered[key] = (versions, value)
        self._remembered.move_to_end(key)
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)


def _viewer(principal: Principal, sight: str | None) -> tuple[str, ...]:
    if sight is None:
        return ()
    return (principal.user_id if "{user}" in sight else "", principal.domain)


def _cursor(query: ListQuery, row: asyncpg.Record) -> str:
    values = [render_time(value) if hasattr(value, "tzinfo") else value for value in list(row)[2:]]
    return encode_cursor(query.sort, (*values, row[0]))
