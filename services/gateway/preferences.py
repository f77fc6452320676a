"""What a person has chosen and every browser of theirs shall remember: small JSON by name."""

import re
from typing import Final, Literal

import asyncpg

from shared.kernel.clock import Clock
from shared.projections.transactions import transaction

NAMES_MAX: Final = 100
VALUE_BYTES_MAX: Final = 16_384
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCK_CLASS: Final = 0x716D_0006
_ALL: Final = "select name, value from preferences where user_id = $1 order by name"
_ONE: Final = "select value from preferences where user_id = $1 and name = $2"
_REMOVE: Final = "delete from preferences where user_id = $1 and name = $2 returning true"
_CHANGE: Final = (
    "update preferences set value = $3, changed_at = $4"
    " where user_id = $1 and name = $2 returning true"
)
# whoever has been erased meanwhile keeps nothing
_ADD: Final = """
    insert into preferences (user_id, name, value, changed_at)
    select $1, $2, $3, $4
     where (select count(*) from preferences where user_id = $1) < $5
       and not exists (select from users where id = $1 and erased)
    returning true
"""
_FORGET: Final = """
    with gone as (
        delete from preferences p using users u where u.id = p.user_id and u.erased returning 1)
    select count(*) from gone
"""


class Preferences:
    """The table of preferences; a value is the JSON text that was given."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def all(self, user_id: str) -> dict[str, str]:
        """Return everything that a person has chosen, by name."""
        return {row[0]: row[1] for row in await self._pool.fetch(_ALL, user_id)}

    async def get(self, user_id: str, name: str) -> str | None:
        """Return one value, None when nothing was chosen."""
        value: str | None = await self._pool.fetchval(_ONE, user_id, name)
        return value

    async def put(self, user_id: str, name: str, value: str) -> Literal["kept", "too_many"]:
        """Keep a value; `too_many` when this name would be one too many."""
        now = self._clock.now()
        async with transaction(self._pool) as connection:
            # one at a time for each person, so that the count holds
            await connection.execute(
                "select pg_advisory_xact_lock($1, hashtext($2))", _LOCK_CLASS, user_id
            )
            if await connection.fetchval(_CHANGE, user_id, name, value, now):
                return "kept"
            added = await connection.fetchval(_ADD, user_id, name, value, now, NAMES_MAX)
        return "kept" if added else "too_many"

    async def remove(self, user_id: str, name: str) -> bool:
        """Forget a value; False when there was none."""
        return bool(await self._pool.fetchval(_REMOVE, user_id, name))

    async def forget_erased(self) -> int:
        """Delete what persons had chosen who have been erased; returns how much that was."""
        count: int = await self._pool.fetchval(_FORGET)
        return count
