"""The seeds of one-time passwords, sealed like all secrets of this service.

A seed is drawn, then confirmed by a code of it; one user has one. What writes takes the
transaction's connection and tells whether the row was still as it had been read, so that of two
who show the same code at the same time, in whatever process, one is let in.
"""

from typing import Final, NamedTuple

import asyncpg

from shared.eventlog.pool import reaching_postgres
from shared.security.sealing import Keyring

TOTP_SEED: Final = "totp-seed"
_READ: Final = (
    "select seed_id, sealed_seed, is_confirmed, last_step from totp_seeds where user_id = $1"
)
# Nobody gets a seed who is erased at this moment.
_DRAW: Final = """
    with person as (select from accounts where user_id = $1 and not is_erased for share)
    insert into totp_seeds as t (user_id, seed_id, sealed_seed) select $1, $2, $3 from person
    on conflict (user_id) do update set seed_id = excluded.seed_id,
        sealed_seed = excluded.sealed_seed, last_step = -1
        where not t.is_confirmed
    returning seed_id
"""
_USE: Final = """
    update totp_seeds set last_step = $3, is_confirmed = true
    where user_id = $1 and seed_id = $2 and last_step < $3
    returning last_step
"""
_DROP: Final = "delete from totp_seeds where user_id = $1"


class Seed(NamedTuple):
    """A user's seed; no code of `last_step` or a step before it is good any more."""

    seed_id: str
    secret: bytes
    is_confirmed: bool
    last_step: int

    def __repr__(self) -> str:
        """Return which seed it is; the seed itself is never shown."""
        return f"<Seed {self.seed_id}>"


class Seeds:
    """Reads and writes the table of seeds."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def of(self, user_id: str) -> Seed | None:
        """Return the user's seed, confirmed or not; None when there is none."""
        with reaching_postgres():
            row = await self._pool.fetchrow(_READ, user_id)
        if row is None:
            return None
        seed_id, sealed, is_confirmed, last_step = row
        secret = self._keyring.open(TOTP_SEED, sealed, context=user_id)
        return Seed(seed_id, secret, is_confirmed, last_step)

    async def draw(
        self, connection: asyncpg.Connection, user_id: str, seed_id: str, secret: bytes
    ) -> bool:
        """Keep a new seed in place of one that was not confirmed; False when one was.

        False as well for somebody who has been erased meanwhile.
        """
        sealed = self._keyring.seal(TOTP_SEED, secret, context=user_id)
        return await connection.fetchval(_DRAW, user_id, seed_id, sealed) is not None

    async def use(
        self, connection: asyncpg.Connection, user_id: str, seed_id: str, step: int
    ) -> bool:
        """Use up a step, which confirms the seed; False when it was used or the seed is gone."""
        return await connection.fetchval(_USE, user_id, seed_id, step) is not None

    async def drop(self, connection: asyncpg.Connection, user_id: str) -> None:
        """Forget the user's seed."""
        await connection.execute(_DROP, user_id)
