"""What the index says about keypairs and whose they are; read freely, or locked before a commit."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from asyncpg.pool import PoolConnectionProxy

_ACCOUNT: Final = "select is_erased from accounts where user_id = $1"
_KEYPAIRS: Final = (
    "select access_key, status, is_main, resource_policy, rate_limit"
    " from keypairs where user_id = $1 order by access_key"
)
_LIMITED_AT: Final = (
    "select recorded_at from events where stream = $1 and type = 'KeypairRateLimited'"
    " order by version desc limit 1"
)

Connection = asyncpg.Connection | asyncpg.Pool | PoolConnectionProxy


class KeypairRow(NamedTuple):
    """A keypair as the index holds it."""

    access_key: str
    status: str
    is_main: bool
    resource_policy: str
    rate_limit: int | None


class Holder(NamedTuple):
    """A user and the keypairs of the user, in the order of their access keys."""

    is_erased: bool
    keypairs: tuple[KeypairRow, ...]

    @property
    def main(self) -> KeypairRow | None:
        """Return the main keypair."""
        return next((row for row in self.keypairs if row.is_main), None)


async def holder(connection: Connection, user_id: str, *, lock: bool = False) -> Holder | None:
    """Return a user with the keypairs, None for an unknown one.

    With `lock`, in a transaction, neither the account nor these keypairs change until it ends.
    """
    account = await connection.fetchrow(_ACCOUNT + (" for share" if lock else ""), user_id)
    if account is None:
        return None
    rows = await connection.fetch(_KEYPAIRS + (" for update" if lock else ""), user_id)
    return Holder(account["is_erased"], tuple(KeypairRow(*row) for row in rows))


async def limited_at(pool: asyncpg.Pool, stream: str) -> datetime | None:
    """Return when it was last told that a keypair is being refused."""
    found: datetime | None = await pool.fetchval(_LIMITED_AT, stream)
    return found
