"""The counters of what everybody holds, against the sessions' rows that they are counted from.

Both are written in one transaction, so they can differ only by a fault of ours. Meanwhile the
projection waits: nobody reads anything wrong, and writes show a little later.
"""

from collections.abc import Iterable
from typing import Final

import asyncpg
import msgspec

from services.gateway.documents.usage import DifferenceDocument
from services.gateway.projections.occupancy import SESSIONS as SESSIONS_SLOT
from services.gateway.projections.occupancy import Counter, Moved, reckon
from services.gateway.projections.session_fold import HOLDING
from services.gateway.projections.sessions import SESSIONS
from shared.kernel.slots import render_amount
from shared.projections.transactions import transaction

_HOLD_STILL: Final = (
    "select 1 from projection_generations"
    " where projection = 'sessions' and state = 'live' for update"
)
_LIVE: Final = "select doc from sessions where status = any($1::text[])"
_COUNTED: Final = "select scope, id, slot, held, waiting from occupancy"
_CORRECT: Final = """
    insert into occupancy as t (scope, id, slot, held, waiting)
    select * from json_to_recordset($1::json)
        as right_one(scope text, id text, slot text, held numeric, waiting numeric)
    on conflict (scope, id, slot) do update set held = excluded.held, waiting = excluded.waiting
"""
_AT_ONCE: Final = 500


async def recount(pool: asyncpg.Pool) -> list[DifferenceDocument]:
    """Count anew, correct what differs and return it."""
    async with transaction(pool) as tx:
        await tx.execute(_HOLD_STILL)
        counters = await tx.fetch(_COUNTED)
        before = {(row[0], row[1], row[2]): (int(row[3]), int(row[4])) for row in counters}
        after = await _reckoned(tx)
        wrong = sorted(
            counter
            for counter in before.keys() | after.keys()
            if before.get(counter, (0, 0)) != after.get(counter, (0, 0))
        )
        if wrong:
            right = [Moved(*one, *map(str, after.get(one, (0, 0)))) for one in wrong]
            await tx.execute(_CORRECT, msgspec.json.encode(right).decode())
    return [
        difference
        for one in wrong
        for difference in _told(one, before.get(one, (0, 0)), after.get(one, (0, 0)))
    ]


async def _reckoned(tx: asyncpg.Connection) -> dict[Counter, tuple[int, int]]:
    held: dict[Counter, int] = {}
    waiting: dict[Counter, int] = {}
    cursor = await tx.cursor(_LIVE, ["PENDING", *HOLDING])
    while rows := await cursor.fetch(_AT_ONCE):
        reckon([SESSIONS.decode(row[0]) for row in rows], held, waiting)
    return {
        counter: (held.get(counter, 0), waiting.get(counter, 0))
        for counter in held.keys() | waiting.keys()
    }


def _told(
    counter: Counter, before: tuple[int, int], after: tuple[int, int]
) -> Iterable[DifferenceDocument]:
    scope, key, slot = counter
    is_count = slot == SESSIONS_SLOT
    kinds = ("shown-usage", "shown-pending")
    for kind, was, now in zip(kinds, before, after, strict=True):
        if was != now:
            yield DifferenceDocument(
                kind=kind,  # type: ignore[arg-type]  # one of these two
                agent_id=key if scope == "agent" else None,
                scope=None if scope == "agent" else f"{scope}:{key}",
                slot="sessions" if is_count else slot,
                before=str(was) if is_count else render_amount(slot, was),
                after=str(now) if is_count else render_amount(slot, now),
            )
