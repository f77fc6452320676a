"""Sealing every secret again under the newest master key; what is sealed stays what it is.

It goes in small batches, each a transaction, and only over what is sealed under another key: it
may stop anywhere, by a kill or because its time is over, and whoever asks again goes on with it.
"""

from typing import Final

import asyncpg
import msgspec

from services.users.seeds import TOTP_SEED
from services.users.vault import KEYPAIR_SECRET, PASSWORD_HASH, PERSON_KEY
from shared.contracts.base import Accepted, Sealed
from shared.contracts.users import ResealSecrets
from shared.eventlog.pool import reaching_postgres
from shared.kernel.clock import Clock
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.sealing import Keyring, SealBroken

SERVICE: Final = "users"
BATCH: Final = 200
ANSWER_S: Final = 3.0
logger = get_logger(__name__)


class SealedColumn(msgspec.Struct, frozen=True):
    """A column of secrets; each is sealed for `purpose`, bound to the row's `key`."""

    table: str
    key: str
    column: str
    purpose: str

    @property
    def others(self) -> str:
        """The next rows after a key that are not sealed under a version, held until the commit."""
        return (
            f"select {self.key}, {self.column} from {self.table}"  # noqa: S608  # constants only
            f" where {self.key} > $1 and {self.column} not like $2 || '.%'"
            f" order by {self.key} limit $3 for no key update"
        )

    @property
    def replace(self) -> str:
        """The statement that writes values by key."""
        return (
            f"update {self.table} set {self.column} = fresh.sealed"  # noqa: S608  # constants only
            " from unnest($1::text[], $2::text[]) as fresh (key, sealed)"
            f" where {self.table}.{self.key} = fresh.key"
        )

    @property
    def count(self) -> str:
        """The statement that counts what is not sealed under a version."""
        return f"select count(*) from {self.table} where {self.column} not like $1 || '.%'"  # noqa: S608  # constants only


COLUMNS: Final = (
    SealedColumn("person_keys", "user_id", "sealed_key", PERSON_KEY),
    SealedColumn("credentials", "user_id", "sealed_hash", PASSWORD_HASH),
    SealedColumn("keypair_secrets", "access_key", "sealed_secret", KEYPAIR_SECRET),
    SealedColumn("totp_seeds", "user_id", "sealed_seed", TOTP_SEED),
)


class Resealing:
    """Handles ResealSecrets."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock

    async def reseal(self, _command: ResealSecrets, context: CommandContext) -> Outcome:
        """Seal anew what is not sealed under the newest key, for as long as the sender waits.

        `remaining` says whether to ask again. What does not open is left as it is, told in the
        log, and counted as `unreadable`.
        """
        self._keyring.refresh()
        resealed = unreadable = 0
        for column in COLUMNS:
            after: str | None = ""
            while after is not None and context.remaining_s(self._clock.now()) > ANSWER_S:
                after, done, broken = await self._batch(column, after)
                resealed += done
                unreadable += broken
        version = self._keyring.current
        left = await self._left(version)
        logger.info("secrets_resealed", key_version=version, resealed=resealed, left=left)
        return Accepted(
            service=SERVICE,
            position=0,  # no read model shows how something is sealed
            result={
                "key_version": version,
                "resealed": resealed,
                "remaining": max(0, left - unreadable),
                "unreadable": unreadable,
            },
        )

    async def _batch(self, column: SealedColumn, after: str) -> tuple[str | None, int, int]:
        """Reseal some rows after a key; returns the last key, how many were, how many broke."""
        version = str(self._keyring.current)
        with reaching_postgres():
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(column.others, after, version, BATCH)
                fresh = self._fresh(column, rows)
                if fresh:
                    await connection.execute(column.replace, list(fresh), list(fresh.values()))
        last = rows[-1][0] if len(rows) == BATCH else None
        return last, len(fresh), len(rows) - len(fresh)

    def _fresh(self, column: SealedColumn, rows: list[asyncpg.Record]) -> dict[str, Sealed]:
        fresh: dict[str, Sealed] = {}
        for key, sealed in rows:
            try:
                raw = self._keyring.open(column.purpose, sealed, context=key)
            except SealBroken as problem:
                logger.error(  # noqa: TRY400  # nothing to trace
                    "secret_unreadable", table=column.table, key=key, problem=str(problem)
                )
            else:
                fresh[key] = self._keyring.seal(column.purpose, raw, context=key)
        return fresh

    async def _left(self, version: int) -> int:
        with reaching_postgres():
            return sum(
                [await self._pool.fetchval(column.count, str(version)) for column in COLUMNS]
            )
