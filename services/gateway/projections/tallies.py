"""How many documents there are of each kind, kept as they come and go: a list need not count.

A kind is one combination of the values of some columns, of which there are few.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import asyncpg
import msgspec

from services.gateway.projections.tables import Column

D = TypeVar("D", bound=msgspec.Struct)
_TOTAL: Final = "documents"


class Tally(Generic[D]):
    """Counts the documents of a table by these of its columns."""

    def __init__(self, columns: Iterable[Column[D]], names: Sequence[str]) -> None:
        by_name = {column.name: column for column in columns}
        self.columns = tuple(by_name[name] for name in names)
        self._names = ", ".join(names)

    async def create(self, connection: asyncpg.Connection, table: str) -> None:
        """Create the table of counts under the name `table`."""
        columns = ", ".join(f"{column.name} {column.sql_type}" for column in self.columns)
        await connection.execute(
            f"create table {table} ({columns}, {_TOTAL} bigint not null,"
            f" primary key ({self._names}))"
        )

    def count(self, documents: Iterable[D]) -> Counter[tuple[Any, ...]]:
        """Return how many there are of each kind."""
        return Counter(
            tuple(column.value(document) for column in self.columns) for document in documents
        )

    async def save(
        self,
        tx: asyncpg.Connection,
        table: str,
        before: Counter[tuple[Any, ...]],
        after: Counter[tuple[Any, ...]],
    ) -> None:
        """Write what a change of documents makes of the counts."""
        changed = [
            (*kind, after[kind] - before[kind])
            for kind in before.keys() | after.keys()
            if after[kind] != before[kind]
        ]
        if not changed:
            return
        types = [*(column.sql_type for column in self.columns), "bigint"]
        unnest = ", ".join(f"${index}::{kind}[]" for index, kind in enumerate(types, start=1))
        await tx.execute(
            f"insert into {table} as t ({self._names}, {_TOTAL}) select * from unnest({unnest})"  # noqa: S608  # our constants
            f" on conflict ({self._names})"
            f" do update set {_TOTAL} = t.{_TOTAL} + excluded.{_TOTAL}",
            *(list(column) for column in zip(*changed, strict=True)),
        )
