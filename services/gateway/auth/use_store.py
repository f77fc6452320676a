"""The use of keypairs in the database: what a gateway accepted is there about a second later.

Rows are stamped by the database's clock alone, so that gateways on several machines agree about
how old they are. What can't be stored now is stored later, stamped later: that never lets more in.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from services.gateway.auth.windows import WINDOW_S

KEYS_MAX: Final = 100_000
NONCES_MAX: Final = 65_536
_COUNTS: Final = (
    "insert into keypair_requests (gateway, access_key, accepted, counted_at)"
    " select $1, access_key, accepted, now() from unnest($2::text[], $3::int[])"
    " as counted(access_key, accepted)"
)
_USES: Final = (
    "insert into keypair_uses (access_key, last_used_at)"
    " select * from unnest($1::text[], $2::timestamptz[]) order by 1"
    " on conflict (access_key) do update"
    " set last_used_at = greatest(keypair_uses.last_used_at, excluded.last_used_at)"
)
_NONCES: Final = (
    "insert into keypair_nonces (access_key, nonce, expires_at)"
    " select * from unnest($1::text[], $2::text[], $3::double precision[]) on conflict do nothing"
)
_LOAD: Final = (
    "select access_key, extract(epoch from now() - counted_at)::double precision as age_s,"
    " sum(accepted)::bigint as accepted from keypair_requests"
    " where counted_at > now() - make_interval(secs => $1) and gateway <> $2 group by 1, 2"
)
_LAST: Final = (
    "select access_key, last_used_at from keypair_uses where access_key = any($1::text[])"
)
_FORGET: Final = (
    "delete from keypair_requests where counted_at < now() - make_interval(secs => $1)",
    "delete from keypair_nonces where expires_at < extract(epoch from now()) - $1",
)
_FORGET_KEYPAIR: Final = "delete from keypair_uses where access_key = any($1::text[])"


class UsedNonce(NamedTuple):
    """A nonce that a key has used; it matters until `expires_at` (seconds since 1970)."""

    access_key: str
    nonce: str
    expires_at: float


class Unsaved:
    """What is to be stored next; bounded, as the database may be away for long."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.nonces: list[UsedNonce] = []
        self.deleted: set[str] = set()

    def __bool__(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.counts or self.nonces or self.deleted)

    def add(self, access_key: str, count: int) -> None:
        """Add accepted requests of a key."""
        if access_key in self.counts or len(self.counts) < KEYS_MAX:
            self.counts[access_key] = self.counts.get(access_key, 0) + count

    def add_nonce(self, nonce: UsedNonce) -> None:
        """Add a nonce that must be known after a restart."""
        if len(self.nonces) < NONCES_MAX:
            self.nonces.append(nonce)

    def merge(self, later: "Unsaved") -> None:
        """Take in what has come since these could not be stored."""
        for access_key, count in later.counts.items():
            self.add(access_key, count)
        for nonce in later.nonces:
            self.add_nonce(nonce)
        self.deleted |= later.deleted


class UseStore:
    """Reads and writes the tables; every method raises what asyncpg raises while it is away."""

    def __init__(self, pool: asyncpg.Pool, gateway: str) -> None:
        self._pool = pool
        self._gateway = gateway

    async def save(self, unsaved: Unsaved, used_at: Callable[[str], datetime]) -> None:
        """Store what was accepted, all of it or nothing; `used_at` tells when last."""
        keys = list(unsaved.counts)
        async with self._pool.acquire() as connection, connection.transaction():
            if keys:
                counts = [unsaved.counts[key] for key in keys]
                await connection.execute(_COUNTS, self._gateway, keys, counts)
                await connection.execute(_USES, keys, [used_at(key) for key in keys])
            if unsaved.nonces:
                await connection.execute(_NONCES, *map(list, zip(*unsaved.nonces, strict=True)))
            if unsaved.deleted:
                await connection.execute(_FORGET_KEYPAIR, list(unsaved.deleted))

    async def accepted_by_others(self) -> Mapping[str, list[tuple[float, int]]]:
        """Return what other processes accepted in the last 900 s, by key as (age in s, count)."""
        found: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for access_key, age_s, count in await self._pool.fetch(
            _LOAD, float(WINDOW_S), self._gateway
        ):
            found[access_key].append((age_s, count))
        return found

    async def nonces(self) -> list[UsedNonce]:
        """Return the nonces that were stored and still matter."""
        rows = await self._pool.fetch("select access_key, nonce, expires_at from keypair_nonces")
        return [UsedNonce(*row) for row in rows]

    async def last_used_at(self, access_keys: Iterable[str]) -> dict[str, datetime]:
        """Return when each of these keys was last used, as far as that was stored."""
        rows = await self._pool.fetch(_LAST, list(access_keys))
        return {row[0]: row[1] for row in rows}

    async def forget_old(self) -> None:
        """Delete what no longer matters."""
        for statement in _FORGET:
            await self._pool.execute(statement, float(WINDOW_S))
