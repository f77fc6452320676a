"""A projection that shows a doubled, a lost or a misplaced event at once: a row for each."""

import asyncio
from collections.abc import Sequence

import asyncpg

from shared.contracts.users import DomainCreated
from shared.eventlog.records import Recorded
from shared.projections.projection import NotYet, Tables


class Journal:
    """One row per event, without a key that would hide a repetition."""

    sources = ("users", "policies")
    tables = ("journal",)

    def __init__(self, name: str = "journal", version: int = 1) -> None:
        self.name = name
        self.tables = (name,)
        self.version = version
        self.poison = ""
        self.away = ""
        self.held = asyncio.Event()

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        await tx.execute(
            f"create table {tables(self.name)} (row bigserial, source text, "
            f"position bigint, name text, version int default {self.version})"
        )

    async def apply(
        self, tx: asyncpg.Connection, tables: Tables, source: str, events: Sequence[Recorded]
    ) -> None:
        for recorded in events:
            name = recorded.event.name if isinstance(recorded.event, DomainCreated) else ""
            if name and name == self.poison:
                raise ValueError(f"{name} cannot be shown")
            if name and name == self.away:
                self.held.set()
                raise NotYet(f"the key of {name} is away")
        await tx.executemany(
            f"insert into {tables(self.name)} (source, position, name) values ($1, $2, $3)",
            [(source, recorded.position, recorded.stream) for recorded in events],
        )
