"""Tables of documents whose past is kept: how each was at any moment.

The table holds what is, and since when (`valid_from`); what a document was before is copied into a
second table when it changes, with the span for which it was so. A document that never changes
costs nothing more. Every moment at which it changed counts, however many fell into one batch.
What is volatile changes without a version; a reader of the past finds it elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg
import msgspec

from services.gateway.projections.tables import Column, DocumentTable
from services.gateway.projections.tallies import Tally

D = TypeVar("D", bound=msgspec.Struct)
_UNCHANGED = datetime(1, 1, 1, tzinfo=UTC)


class VersionedTable(DocumentTable[D]):
    """A table of documents with a table of what they were. `volatile` members make no version.

    `blank` makes a document say nothing of an erased person. By what is in `tallied`, documents are
    counted as they come and go.
    """

    def __init__(
        self,
        name: str,
        kind: type[D],
        columns: Iterable[Column[D]],
        *,
        volatile: Mapping[str, Any] | None = None,
        blank: Callable[[D], None] | None = None,
        searched: Callable[[D], Iterable[str]] | None = None,
        tallied: Sequence[str] = (),
    ) -> None:
        super().__init__(name, kind, columns, searched)
        self.tally = Tally(self.columns, tallied)
        self.volatile = dict(volatile or {})
        self.blank = blank
        self.names = ", ".join(["id", "doc", *(column.name for column in self.columns)])

    def ddl(self, table: str, nullable: frozenset[str] = frozenset()) -> str:
        """Return the statement that creates the table of what is."""
        return f"{super().ddl(table, nullable)[:-1]}, valid_from timestamptz not null)"

    async def create_versions(
        self, connection: asyncpg.Connection, table: str, nullable: frozenset[str] = frozenset()
    ) -> None:
        """Create the table of what was, under the name `table`."""
        ddl = DocumentTable.ddl(self, table, nullable).replace("id text primary key", "id text")
        await connection.execute(
            f"{ddl[:-1]}, valid_from timestamptz, valid_to timestamptz not null,"
            " primary key (id, valid_from))"
        )
        await connection.execute(f"create index on {table} (valid_to, valid_from)")

    def settled(self, document: D) -> D:
        """Return a copy of a document without what is volatile."""
        return msgspec.structs.replace(document, **self.volatile)


class _Version(NamedTuple, Generic[D]):
    """How a document was from a moment `at` until another, None: it still is."""

    at: datetime
    document: D
    text: str
    until: datetime | None = None


class Versions(Generic[D]):
    """What a batch of events makes of the documents of one table, moment by moment."""

    def __init__(self, table: VersionedTable[D], documents: Mapping[str, D]) -> None:
        """Begin with the documents that were loaded; they may be changed in place later."""
        self._table = table
        self._stored = frozenset(documents)
        self._counted = table.tally.count(documents.values())
        self._last = {key: self._text(document) for key, document in documents.items()}
        self._opened: dict[str, list[_Version[D]]] = {}
        self._left: dict[str, datetime] = {}  # when what is stored was so no more
        self._gone: set[str] = set()
        self._erased: set[str] = set()

    def _text(self, document: D) -> str:
        return self._table.encode(self._table.settled(document))

    def note(self, documents: Mapping[str, D], keys: Iterable[str], at: datetime) -> None:
        """Keep how documents are at a moment, after the events up to then have changed them."""
        for key in keys:
            document = documents.get(key)
            if document is None:
                if self._last.pop(key, None) is not None:
                    self._leave(key, at)
                    self._gone.add(key)
                continue
            copy = self._table.settled(document)
            text = self._table.encode(copy)
            if self._last.get(key) == text:
                continue
            self._leave(key, at)
            self._gone.discard(key)
            self._last[key] = text
            self._opened.setdefault(key, []).append(_Version(at, copy, text))

    def _leave(self, key: str, at: datetime) -> None:
        opened = self._opened.get(key)
        if not opened:
            if key in self._stored:
                self._left.setdefault(key, at)
        elif opened[-1].until is None:
            opened[-1] = opened[-1]._replace(until=at)

    def erase(self, key: str) -> None:
        """Let every version of a document say nothing of the person."""
        self._erased.add(key)

    async def save(
        self,
        tx: asyncpg.Connection,
        now: str,
        past: str,
        counts: str | None,
        documents: Mapping[str, D],
    ) -> None:
        """Write what is to the table `now`, what was to `past`, and how many to `counts`."""
        tally = self._table.tally
        if counts is not None:
            await tally.save(tx, counts, self._counted, tally.count(documents.values()))
        await self._close(tx, now, past)
        await self._keep(tx, past)
        await self._table.remove(tx, now, self._gone)
        if documents:
            since = [self._since(key) for key in documents]
            await self._table.insert(
                tx,
                now,
                [(key, self._table.encode(document)) for key, document in documents.items()],
                documents.values(),
                f"on conflict (id) do update set {self._table.updates()},"
                " valid_from = greatest(t.valid_from, excluded.valid_from)",
                is_searched=True,
                valid_from=since,
            )
        for key in sorted(self._erased):
            await self._blank(tx, past, key)

    def _since(self, key: str) -> datetime:
        opened = self._opened.get(key)
        return opened[-1].at if opened else _UNCHANGED

    async def _close(self, tx: asyncpg.Connection, now: str, past: str) -> None:
        """Copy what is stored and about to be replaced, up to its first change."""
        if self._left:
            names = self._table.names
            await tx.execute(
                f"insert into {past} ({names}, valid_from, valid_to)"  # noqa: S608  # our constants
                f" select {names}, valid_from, ends.at from {now}"
                " join unnest($1::text[], $2::timestamptz[]) as ends(key, at) on id = ends.key"
                " where valid_from < ends.at",
                list(self._left),
                list(self._left.values()),
            )

    async def _keep(self, tx: asyncpg.Connection, past: str) -> None:
        """Write what was true within the batch only."""
        spans = [
            (key, version, version.until)
            for key, opened in self._opened.items()
            for version in opened
            # one moment shows all that happened at it
            if version.until is not None and version.at < version.until
        ]
        if spans:
            await self._table.insert(
                tx,
                past,
                [(key, version.text) for key, version, _ in spans],
                [version.document for _, version, _ in spans],
                valid_from=[version.at for _, version, _ in spans],
                valid_to=[end for _, _, end in spans],
            )

    async def _blank(self, tx: asyncpg.Connection, past: str, key: str) -> None:
        if self._table.blank is None:
            raise TypeError(f"{self._table.name} cannot be blanked")
        rows = await tx.fetch(
            f"delete from {past} where id = $1 returning doc, valid_from, valid_to",  # noqa: S608  # as above
            key,
        )
        documents = [self._table.decode(row["doc"]) for row in rows]
        for document in documents:
            self._table.blank(document)
        if documents:
            await self._table.insert(
                tx,
                past,
                [(key, self._table.encode(document)) for document in documents],
                documents,
                valid_from=[row["valid_from"] for row in rows],
                valid_to=[row["valid_to"] for row in rows],
            )
