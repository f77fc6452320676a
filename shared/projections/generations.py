"""Which generation of a projection is live, which one is being built; see `projection`."""

from datetime import timedelta
from typing import Final, Literal, NamedTuple

import asyncpg

from shared.projections.projection import Projection, Tables
from shared.projections.transactions import transaction

State = Literal["building", "live", "retired"]

KEEP_RETIRED: Final = timedelta(days=1)
_LOCK_CLASS: Final = 0x716D_0003
_DDL: Final = """
    create table if not exists projection_generations (
        projection text,
        generation int,
        version int not null,
        state text not null check (state in ('building', 'live', 'retired')),
        tables text[] not null,
        changed_at timestamptz not null default now(),
        primary key (projection, generation)
    )
"""
_SELECT: Final = """
    select generation, version, state from projection_generations
     where projection = $1 and state <> 'retired' order by generation
"""
_INSERT: Final = """
    insert into projection_generations (projection, generation, version, state, tables)
    select $1, coalesce(max(generation), 0) + 1, $2, $3, $4
      from projection_generations where projection = $1
    returning generation
"""
# The row lock on the generation keeps the sources of one projection from writing at the same
# time, in whatever process; the position in the condition keeps a batch from being applied twice.
_ADVANCE: Final = """
    with held as (
        select 1 from projection_generations
         where projection = $1 and generation = $2 and state <> 'retired' for update)
    update checkpoints set position = $5 from held
     where projection = $1 and generation = $2 and source = $3 and position = $4
    returning true
"""
_LOCKED_POSITION: Final = """
    select c.position from projection_generations g
      join checkpoints c on c.projection = g.projection and c.generation = g.generation
     where g.projection = $1 and g.generation = $2 and g.state <> 'retired' and c.source = $3
       for update
"""


class Generation(NamedTuple):
    """One set of tables of a projection."""

    number: int
    version: int
    state: State


class Generations:
    """The generations of one projection, in the schema that connections lead to."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._name = projection.name

    async def prepare(self, pool: asyncpg.Pool) -> list[Generation]:
        """Make what is missing for the code's version; returns the live one and any being built.

        The first generation ever is live at once: there is nothing better to show meanwhile.
        """
        async with transaction(pool) as connection:
            await self._lock(connection)
            await connection.execute(_DDL)
            found = await self._find(connection)
            if not found:
                await self._create(connection, "live")
            elif all(each.version != self._projection.version for each in found):
                await self._create(connection, "building")
            await self._drop_retired(connection)
            return await self._find(connection)

    async def rebuild(self, pool: asyncpg.Pool) -> Generation:
        """Start the next generation beside the live one, unless one is being built already."""
        async with transaction(pool) as connection:
            await self._lock(connection)
            for each in await self._find(connection):
                if each.state == "building" and each.version == self._projection.version:
                    return each
            number = await self._create(connection, "building")
            return Generation(number, self._projection.version, "building")

    async def positions(self, pool: asyncpg.Pool, number: int) -> dict[str, int]:
        """Return the position of each source; a source that is new to it starts at 0."""
        async with transaction(pool) as connection:
            await self._add_sources(connection, number)
            rows = await connection.fetch(
                "select source, position from checkpoints "
                "where projection = $1 and generation = $2",
                self._name,
                number,
            )
        return {row["source"]: row["position"] for row in rows}

    async def advance(
        self, tx: asyncpg.Connection, number: int, source: str, before: int, after: int
    ) -> bool:
        """Move a checkpoint from `before` to `after`; False when it isn't at `before`."""
        moved = await tx.fetchval(_ADVANCE, self._name, number, source, before, after)
        return moved is not None

    async def locked_position(self, tx: asyncpg.Connection, number: int, source: str) -> int | None:
        """Return where a checkpoint is, held until `tx` ends; None for a retired generation."""
        position: int | None = await tx.fetchval(_LOCKED_POSITION, self._name, number, source)
        return position

    async def flip(self, pool: asyncpg.Pool, number: int) -> bool:
        """Make generation `number` the live one, if it shows all that the live one does."""
        async with transaction(pool) as connection:
            await self._lock(connection)
            found = {each.number: each for each in await self._find(connection, lock=True)}
            if number not in found:
                return False
            live = next((each.number for each in found.values() if each.state == "live"), None)
            if live == number:
                return True
            if live is not None and not await self._has_reached(connection, number, live):
                return False
            for other in found:
                await self._set_state(connection, other, "live" if other == number else "retired")
            await connection.execute(
                "delete from checkpoints where projection = $1 and generation <> $2",
                self._name,
                number,
            )
            await self._show(connection, number)
            return True

    async def _lock(self, connection: asyncpg.Connection) -> None:
        await connection.execute(
            "select pg_advisory_xact_lock($1, hashtext(current_schema() || $2))",
            _LOCK_CLASS,
            self._name,
        )

    async def _find(
        self, connection: asyncpg.Connection, *, lock: bool = False
    ) -> list[Generation]:
        rows = await connection.fetch(_SELECT + (" for update" if lock else ""), self._name)
        return [Generation(row["generation"], row["version"], row["state"]) for row in rows]

    async def _create(self, connection: asyncpg.Connection, state: State) -> int:
        number: int = await connection.fetchval(
            _INSERT, self._name, self._projection.version, state, list(self._projection.tables)
        )
        await self._add_sources(connection, number)
        await self._projection.create(connection, self.tables(number))
        if state == "live":
            await self._show(connection, number)
        return number

    async def _add_sources(self, connection: asyncpg.Connection, number: int) -> None:
        await connection.execute(
            "insert into checkpoints (projection, generation, source, position) "
            "select $1, $2, unnest($3::text[]), 0 on conflict do nothing",
            self._name,
            number,
            list(self._projection.sources),
        )

    async def _has_reached(self, connection: asyncpg.Connection, number: int, live: int) -> bool:
        behind = await connection.fetchval(
            "select exists(select from checkpoints n join checkpoints l using (projection, source) "
            "where projection = $1 and n.generation = $2 and l.generation = $3 "
            "and n.position < l.position and source = any($4::text[]))",
            self._name,
            number,
            live,
            list(self._projection.sources),
        )
        return not behind

    async def _set_state(self, connection: asyncpg.Connection, number: int, state: State) -> None:
        await connection.execute(
            "update projection_generations set state = $3, changed_at = now() "
            "where projection = $1 and generation = $2 and state <> $3",
            self._name,
            number,
            state,
        )

    async def _show(self, connection: asyncpg.Connection, number: int) -> None:
        tables = self.tables(number)
        for name in tables:
            await connection.execute(f"drop view if exists {name}")
            await connection.execute(f"create view {name} as select * from {tables(name)}")  # noqa: S608  # names of our own code

    async def _drop_retired(self, connection: asyncpg.Connection) -> None:
        rows = await connection.fetch(
            "delete from projection_generations where projection = $1 and state = 'retired' "
            "and changed_at < now() - $2::interval returning generation, tables",
            self._name,
            KEEP_RETIRED,
        )
        for row in rows:
            names = Tables(row["tables"], row["generation"])
            for name in names:
                await connection.execute(f"drop table if exists {names(name)}")

    def tables(self, number: int) -> Tables:
        """Return the names of a generation's tables."""
        return Tables(self._projection.tables, number)
