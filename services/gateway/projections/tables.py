"""Tables of documents: read by key, folded in memory, written back in one statement a batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

import asyncpg
import msgspec

from services.gateway.grams import grams

D = TypeVar("D", bound=msgspec.Struct)
_TYPES: Final = frozenset({"text", "boolean", "bigint", "timestamptz"})
_GRAMS: Final = "grams"


class Column(NamedTuple, Generic[D]):
    """A column to filter or sort by, and how it comes from the document."""

    name: str
    sql_type: str
    value: Callable[[D], Any]


class DocumentTable(Generic[D]):
    """One table: `id`, the document's JSON text, and the columns that lists need.

    With `searched` it also keeps of which groups of characters those texts are made: a search for
    a piece of one of them reads only what can hold it.
    """

    def __init__(
        self,
        name: str,
        kind: type[D],
        columns: Iterable[Column[D]],
        searched: Callable[[D], Iterable[str]] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.columns = tuple(columns)
        self.searched = searched
        if not {column.sql_type for column in self.columns} <= _TYPES:
            raise ValueError(f"{name}: a column has a type that is not provided for")
        self._decoder = msgspec.json.Decoder(kind)

    def ddl(self, table: str, nullable: frozenset[str] = frozenset()) -> str:
        """Return the statement that creates the table under the name `table`."""
        lines = ["id text primary key", "doc text not null"]
        lines += [
            f"{column.name} {column.sql_type}{'' if column.name in nullable else ' not null'}"
            for column in self.columns
        ]
        return f"create table {table} ({', '.join(lines)})"

    async def create(
        self,
        connection: asyncpg.Connection,
        table: str,
        *,
        nullable: frozenset[str] = frozenset(),
        indexes: Iterable[str] = (),
    ) -> None:
        """Create the table under the name `table`; each index is a list of columns."""
        await connection.execute(self.ddl(table, nullable))
        for columns in indexes:
            await connection.execute(f"create index on {table} ({columns})")
        if self.searched is not None:
            await connection.execute(f"alter table {table} add {_GRAMS} integer[] not null")
            # what is new is put in its place at once: no reader goes through a list of it
            await connection.execute(
                f"create index on {table} using gin ({_GRAMS}) with (fastupdate = off)"
            )

    async def load(
        self, connection: asyncpg.Connection, table: str, keys: Iterable[str]
    ) -> dict[str, D]:
        """Return the documents of these keys as far as they exist."""
        wanted = list(set(keys))
        if not wanted:
            return {}
        rows = await connection.fetch(
            f"select id, doc from {table} where id = any($1::text[])",  # noqa: S608  # our constant
            wanted,
        )
        return {row[0]: self._decoder.decode(row[1]) for row in rows}

    async def save(
        self, connection: asyncpg.Connection, table: str, documents: Mapping[str, D]
    ) -> None:
        """Insert or replace these documents in one statement."""
        if documents:
            await self.insert(
                connection,
                table,
                [(key, self.encode(document)) for key, document in documents.items()],
                documents.values(),
                f"on conflict (id) do update set {self.updates()}",
                is_searched=True,
            )

    async def insert(
        self,
        connection: asyncpg.Connection,
        table: str,
        texts: Sequence[tuple[str, str]],
        documents: Iterable[D],
        conflict: str = "",
        *,
        is_searched: bool = False,
        **more: Sequence[datetime],
    ) -> None:
        """Insert documents, given as (id, JSON) and as they are, with `more` columns of times."""
        kept = list(documents)
        names = ["id", "doc", *(column.name for column in self.columns), *more]
        types = ["text", "text", *(column.sql_type for column in self.columns)]
        types += ["timestamptz"] * len(more)
        arrays: list[Sequence[Any]] = [
            [key for key, _ in texts],
            [text for _, text in texts],
            *([storable(column.value(item)) for item in kept] for column in self.columns),
            *more.values(),
        ]
        selected = list(names)
        if is_searched and self.searched is not None:
            names.append(_GRAMS)
            types.append("text")
            selected.append(f"{_GRAMS}::integer[]")  # arrays of arrays have no unnest
            arrays.append([_array(grams(self.searched(item))) for item in kept])
        unnest = ", ".join(f"${index}::{kind}[]" for index, kind in enumerate(types, start=1))
        await connection.execute(
            f"insert into {table} as t ({', '.join(names)})"  # noqa: S608  # our constants
            f" select {', '.join(selected)} from unnest({unnest}) as new({', '.join(names)})"
            f" {conflict}",
            *arrays,
        )

    def updates(self) -> str:
        """Return what an insertion sets where the row is there already."""
        names = ["doc", *(column.name for column in self.columns)]
        names += [_GRAMS] if self.searched is not None else []
        return ", ".join(f"{name} = excluded.{name}" for name in names)

    def encode(self, document: D) -> str:
        """Return a document's JSON text."""
        return msgspec.json.encode(document).decode()

    def decode(self, text: str) -> D:
        """Return the document of a JSON text."""
        return self._decoder.decode(text)

    async def remove(self, connection: asyncpg.Connection, table: str, keys: Iterable[str]) -> None:
        """Delete the documents of these keys as far as they exist."""
        gone = list(keys)
        if gone:
            await connection.execute(
                f"delete from {table} where id = any($1::text[])",  # noqa: S608  # our constant
                gone,
            )


def by_each(*columns: str) -> tuple[str, ...]:
    """Return the indexes by which a list is sorted, or narrowed, by any one of these columns."""
    return tuple(f"{column}, id" for column in columns)


def _array(numbers: Iterable[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def storable(value: Any) -> Any:
    """Return a value as a column can hold it: Postgres has no NUL in a text, JSON escapes it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def times() -> tuple[Column[Any], Column[Any]]:
    """Return the two columns that every table has."""
    return (
        Column("created_at", "timestamptz", lambda document: document.created_at),
        Column("modified_at", "timestamptz", lambda document: document.modified_at),
    )
