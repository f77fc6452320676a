"""Everything that a list holds, read with a cursor of the database in one snapshot.

A cursor has a connection of its own, so that slow readers take none from the rest of the gateway,
and reads the tables of the generation that was live as it began: a change-over waits for nobody.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
import msgspec

from services.gateway.auth.permissions import forbidden, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.exports.columns import Column
from services.gateway.exports.kinds import EMAIL, Kind
from services.gateway.http.parameters import ListQuery
from services.gateway.http.problems import Refused
from services.gateway.reads.models import ReadModels
from services.gateway.reads.resources import Resource
from services.gateway.reads.statements import (
    Statement,
    Where,
    narrow,
    restrict,
    sort_columns,
    source,
)
from services.gateway.reads.users import USERS
from shared.eventlog.pool import server_settings
from shared.kernel.rejections import Rejection, unavailable

AT_ONCE: Final = 10
OF_ONE: Final = 2  # person
BATCH: Final = 250
RETRY_AFTER_S: Final = 10
TOO_MANY: Final = "too_many_exports"
QUERY_TIMEOUT_S: Final = 120
CLOSE_TIMEOUT_S: Final = 5
IDLE_TIMEOUT_S: Final = 90  # more than the download waits for whoever takes nothing
_LIVE: Final = """
    select name, name || '_g' || generation from projection_generations, unnest(tables) as name
     where state = 'live'
"""
_OPEN: Final = "declare export_rows no scroll cursor for "
_FETCH: Final = f"fetch {BATCH} from export_rows"
_SLOTS: Final = """
    select slot from agents, json_object_keys(doc::json -> 'available_slots') as slot
     union
    select slot from keypair_policies, json_object_keys(doc::json -> 'total_resource_slots') as slot
     union
    select slot from keypair_policies,
           json_object_keys(doc::json -> 'max_pending_session_resource_slots') as slot
"""
_FIRST: Final = ("cpu", "mem")
Rows = list[dict[str, Any]]


class Exports:
    """Reads lists from end to end, a few at once."""

    def __init__(self, database_url: str, reads: ReadModels) -> None:
        self._database_url = database_url
        self._reads = reads
        self._running: Counter[str] = Counter()

    async def slots(self) -> list[str]:
        """Return the slots that an agent offers or a policy limits: cpu, mem, then by name."""
        found = {row[0] for row in await self._reads.pool.fetch(_SLOTS)}
        return [*_FIRST, *sorted(found - set(_FIRST))]

    @contextmanager
    def place(self, user_id: str) -> Iterator[None]:
        """Take the place of one export; raises Refused (429, 503) when there is none."""
        if self._running[user_id] >= OF_ONE:
            text = f"{OF_ONE} exports of yours are under way; let one of them end first."
            raise Refused(
                Rejection(
                    kind="rate_limited",
                    code=TOO_MANY,
                    message=text,
                    retry_after_s=RETRY_AFTER_S,
                )
            )
        if self._running.total() >= AT_ONCE:
            text = f"{AT_ONCE} exports are under way, which is as many as there may be."
            raise Refused(unavailable(TOO_MANY, text, RETRY_AFTER_S))
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1
            self._running += Counter()  # forgets those who have none

    async def documents(
        self, principal: Principal, kind: Kind, query: ListQuery, columns: Sequence[Column]
    ) -> AsyncGenerator[Rows, None]:
        """Yield what the caller sees of a list, complete as far as `columns` need it."""
        scope = scope_of(principal, kind.resource.list_action)
        if scope == "none":
            raise Refused(forbidden(kind.resource.list_action))
        sight = None if scope == "all" else kind.resource.sights[scope]
        names = {column.name for column in columns}
        async with _connected(self._database_url) as connection, _snapshot(connection):
            tables = {row[0]: row[1] for row in await connection.fetch(_LIVE)}
            statement = everything(_in_tables(kind.resource, tables), principal, sight, query)
            await connection.execute(f"{_OPEN}{statement.sql}", *statement.parameters)
            while found := await connection.fetch(_FETCH):
                pairs = [(row[0], row[1]) for row in found]
                if query.at is not None or names & kind.live:
                    texts = await self._reads.decorated(kind.resource, pairs, query.at)
                else:
                    texts = [text for _, text in pairs]
                rows: Rows = [msgspec.json.decode(text) for text in texts]
                if EMAIL in names:
                    await self._name(principal, rows)
                yield rows

    async def _name(self, principal: Principal, rows: Rows) -> None:
        """Add the e-mail addresses of the users, as far as the caller may see them."""
        scope = scope_of(principal, USERS.read_action)
        where = Where()
        wanted = list({row["user_id"] for row in rows})
        where.conditions.append(f"id = any({where.add(wanted)}::text[])")
        restrict(where, principal, None if scope == "all" else USERS.sights.get(scope, "false"))
        sql = f"select id, email from users{where.sql()} and not erased"  # noqa: S608  # constants
        found = await self._reads.pool.fetch(sql, *where.parameters)
        emails = {row["id"]: row["email"] for row in found}
        for row in rows:
            row[EMAIL] = emails.get(row["user_id"])


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        url,
        timeout=CLOSE_TIMEOUT_S,
        command_timeout=QUERY_TIMEOUT_S + CLOSE_TIMEOUT_S,
        server_settings=server_settings("gateway-exports"),
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=CLOSE_TIMEOUT_S)


@asynccontextmanager
async def _snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(
            f"set local statement_timeout = '{QUERY_TIMEOUT_S}s';"
            f" set local idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s';"
            # in the order of an index where there is one: nothing is sorted beforehand
            " set local cursor_tuple_fraction = 0.001"
        )
        yield


def _in_tables(resource: Resource, tables: dict[str, str]) -> Resource:
    """Return a list that is read from the tables of one generation."""
    versions = resource.versions
    return resource._replace(
        table=tables[resource.table], versions=None if versions is None else tables[versions]
    )


def everything(
    resource: Resource, principal: Principal, sight: str | None, query: ListQuery
) -> Statement:
    """Return the statement of all pages of a list at once: id and document."""
    where = Where()
    table = source(where, resource, query.at)
    restrict(where, principal, sight)
    narrow(where, resource, query)
    columns = sort_columns(resource, query.sort)
    order = ", ".join(f"{name}{' desc' if descends else ''}" for name, descends in columns)
    sql = f"select id, doc from {table}{where.sql()} order by {order}"  # noqa: S608  # constants
    return Statement(sql, tuple(where.parameters))
