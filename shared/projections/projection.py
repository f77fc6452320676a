"""What a projection is: rows that are a fold of events, written with the position they stand for.

    class Domains:
        name = "domains"
        version = 1                                   # raise it whenever the rows would differ
        sources = ("users",)
        tables = ("domains",)

        async def create(self, tx, tables):
            await tx.execute(f"create table {tables('domains')} (name text primary key)")

        async def apply(self, tx, tables, source, events):
            ...                                       # write to tables('domains')

Generations. `tables("domains")` is `domains_g3` in generation 3; the name `domains` itself is a
view of the generation that is live, and the only name that readers use. When the version in the
code differs from that of the live generation, or a rebuild is asked for, the next generation is
filled beside it from the first event on. Once it has reached what the live one shows, the views
change over in one transaction. The old tables are dropped a day later.
A projection has no side effects: a rebuild would repeat them.

In the background. A projection whose readers wait for it themselves (`runner.wait_for` with its
name) may say `linger_s`: so long it gathers what comes, until somebody waits, and then writes it
in one transaction. Nobody's writes wait for it, and it is no part of a source's position.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import asyncpg

from shared.eventlog.records import Recorded


class NotYet(Exception):  # noqa: N818  # a state, not an error
    """Raised by `apply` when something it needs is away: the same events are tried again."""


class Tables:
    """The physical names of a projection's tables in one generation."""

    def __init__(self, names: Sequence[str], generation: int) -> None:
        self._names = frozenset(names)
        self.generation = generation

    def __call__(self, name: str) -> str:
        """Return the physical name; raises KeyError for a table that was not declared."""
        if name not in self._names:
            raise KeyError(name)
        return f"{name}_g{self.generation}"

    def __iter__(self) -> Iterator[str]:
        """Iterate over the logical names, in order."""
        return iter(sorted(self._names))


class Projection(Protocol):
    """A read model. `sources` are the services whose events it folds; see the module's text."""

    @property
    def name(self) -> str:
        """What the projection is called, for good."""
        ...

    @property
    def version(self) -> int:
        """Changes whenever the same events would give other rows."""
        ...

    @property
    def sources(self) -> Sequence[str]:
        """The services whose events it folds."""
        ...

    @property
    def tables(self) -> Sequence[str]:
        """The names under which its tables are read."""
        ...

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation, with their indexes."""
        ...

    async def apply(
        self, tx: asyncpg.Connection, tables: Tables, source: str, events: Sequence[Recorded]
    ) -> None:
        """Apply events of one source, in order, within `tx`.

        Raise NotYet to be tried again; anything else stops this projection until somebody looks.
        """
        ...


def linger_of(projection: Projection) -> float:
    """Return how long a projection gathers events before it writes them; 0 for one in front."""
    linger_s: float = getattr(projection, "linger_s", 0.0)
    return linger_s


class Commit(NamedTuple):
    """Events of one source that the live generation of a projection now shows."""

    projection: str
    source: str
    position: int
    events: Sequence[Recorded]
