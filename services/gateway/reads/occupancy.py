"""What keypairs, users, projects and domains hold and wait for, as the read models show it."""

from collections.abc import Iterable, Mapping
from typing import Final

import asyncpg
import msgspec

from services.gateway.projections.occupancy import SESSIONS
from shared.kernel.slots import Slots

Scope = tuple[str, str]
_USE: Final = (
    "select scope, id, slot, held, waiting from occupancy"
    " join unnest($1::text[], $2::text[]) as asked(scope, id) using (scope, id)"
)


class Use(msgspec.Struct):
    """What somebody's sessions hold together, and what those that wait ask for."""

    held: Slots = {}
    waiting: Slots = {}
    sessions: int = 0
    pending: int = 0


async def use_of(
    connection: asyncpg.Connection | asyncpg.Pool, scopes: Iterable[Scope]
) -> Mapping[Scope, Use]:
    """Return the use of each of these scopes, given as (kind, id)."""
    asked = sorted(set(scopes))
    found = {scope: Use() for scope in asked}
    rows = await connection.fetch(_USE, [scope for scope, _ in asked], [key for _, key in asked])
    for scope, key, slot, held, waiting in rows:
        use = found[scope, key]
        if slot == SESSIONS:
            use.sessions, use.pending = int(held), int(waiting)
            continue
        if held:
            use.held[slot] = int(held)
        if waiting:
            use.waiting[slot] = int(waiting)
    return found
