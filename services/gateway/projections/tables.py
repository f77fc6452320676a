"""Tables of documents: read by key, folded in memory, written back in one statement a batch."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

import asyncpg
import msgspec

D = TypeVar("D", bound=msgspec.Struct)
_TYPES: Final = frozenset({"text", "boolean", "bigint", "timestamptz"})


class Column(NamedTuple, Generic[D]):
    """A column to filter or sort by, and how it comes from the document."""

    name: str
    sql_type: str
    value: Callable[[D], Any]


class DocumentTable(Generic[D]):
    """One table: `id`, the document's JSON text, and the columns that lists need."""

    def __init__(self, name: str, kind: type[D], columns: Iterable[Column[D]]) -> None:
        self.name = name
        self.kind = kind
        self.columns = tuple(columns)
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
        if not documents:
            return
        names = ["id", "doc", *(column.name for column in self.columns)]
        types = ["text", "text", *(column.sql_type for column in self.columns)]
        arrays: list[list[Any]] = [
            list(documents),
            [msgspec.json.encode(document).decode() for document in documents.values()],
        ]
        arrays += [
            [storable(column.value(document)) for document in documents.values()]
            for column in self.columns
        ]
        unnest = ", ".join(f"${index}::{kind}[]" for index, kind in enumerate(types, start=1))
        updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        await connection.execute(
            f"insert into {table} ({', '.join(names)}) select * from unnest({unnest})"  # noqa: S608  # our constants
            f" on conflict (id) do update set {updates}",
            *arrays,
        )

    async def remove(self, connection: asyncpg.Connection, table: str, keys: Iterable[str]) -> None:
        """Delete the documents of these keys as far as they exist."""
        gone = list(keys)
        if gone:
            await connection.execute(
                f"delete from {table} where id = any($1::text[])",  # noqa: S608  # our constant
                gone,
            )


def storable(value: Any) -> Any:
    """Return a value as a column can hold it: Postgres has no NUL in a text, JSON escapes it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def times() -> tuple[Column[Any], Column[Any]]:
    """Return the two columns that every table has."""
    return (
        Column("created_at", "timestamptz", lambda document: document.created_at),
        Column("modified_at", "timestamptz", lambda document: document.modified_at),
    )
