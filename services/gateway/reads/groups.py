"""Which groups of characters are in many documents, and so tell little when a piece is sought.

Postgres finds that out by itself, for its own planner, when it analyses a table.
"""

from typing import Final

import asyncpg

from services.gateway.reads.statements import Rare
from shared.kernel.clock import Clock

MANY: Final = 0.02  # of all documents
KEPT_MIN: Final = 2
REFRESH_S: Final = 300.0
_COMMON: Final = """
    select group_, share
      from projection_generations g
      join pg_stats s on s.schemaname = current_schema()
       and s.tablename = $1 || '_g' || g.generation and s.attname = 'grams'
     cross join unnest(s.most_common_elems::text::integer[], s.most_common_elem_freqs)
        as common(group_, share)
     where g.state = 'live' and $1 = any(g.tables) and group_ is not null
"""


class Groups:
    """Knows the common groups of each table; what it knows grows old and is read again."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._known: dict[str, tuple[float, dict[int, float]]] = {}

    async def rare(self, table: str) -> Rare:
        """Return what leaves out the groups that are in many of a table's documents."""
        now = self._clock.monotonic()
        read_at, common = self._known.get(table, (-REFRESH_S, {}))
        if now - read_at >= REFRESH_S:
            common = {row[0]: row[1] for row in await self._pool.fetch(_COMMON, table)}
            self._known[table] = (now, common)
        return lambda groups: _rarest(groups, common)


def _rarest(groups: list[int], common: dict[int, float]) -> list[int]:
    ordered = sorted(groups, key=lambda group: common.get(group, 0.0))
    few = sum(common.get(group, 0.0) < MANY for group in ordered)
    return ordered[: max(few, KEPT_MIN)]
