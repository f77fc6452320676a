"""The secrets of the users service: persons' keys, password hashes, keypair secrets.

Each is sealed under the installation's master key for its own purpose and bound to its owner, so
neither a copy of the database nor a row moved to another place gives anything away.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from shared.contracts.base import Sealed
from shared.security.persons import PersonKey
from shared.security.sealing import Keyring
from shared.security.transport import seal_secret_key

PERSON_KEY: Final = "person-key"
PASSWORD_HASH: Final = "password-hash"  # noqa: S105  # names a purpose
KEYPAIR_SECRET: Final = "keypair-secret"  # noqa: S105  # names a purpose
EMAIL: Final = "email"
USERNAME: Final = "username"

_CREDENTIALS: Final = """
    select claims.owner, credentials.sealed_hash
    from claims left join credentials on credentials.user_id = claims.owner
    where claims.kind = $1 and claims.value = $2
"""
_SET_CREDENTIALS: Final = """
    insert into credentials (user_id, sealed_hash, changed_at) values ($1, $2, now())
    on conflict (user_id) do update set sealed_hash = excluded.sealed_hash, changed_at = now()
"""


class Credentials(NamedTuple):
    """What a password is checked against; both None for somebody unknown."""

    user_id: str | None
    encoded_hash: str | None


class Vault:
    """Reads and writes the tables of secrets; what writes takes the transaction's connection."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def put_person_key(self, connection: asyncpg.Connection, key: PersonKey) -> None:
        """Keep the key of a new person."""
        await connection.execute(
            "insert into person_keys (user_id, sealed_key) values ($1, $2)",
            key.user_id,
            key.wrap(self._keyring, PERSON_KEY),
        )

    async def put_password(
        self, connection: asyncpg.Connection, user_id: str, encoded_hash: str
    ) -> None:
        """Set the password hash of a user."""
        sealed = self._keyring.seal(PASSWORD_HASH, encoded_hash, context=user_id)
        await connection.execute(_SET_CREDENTIALS, user_id, sealed)

    async def put_secret_key(
        self, connection: asyncpg.Connection, user_id: str, access_key: str, secret_key: str
    ) -> None:
        """Keep the secret of a new keypair."""
        await connection.execute(
            "insert into keypair_secrets (access_key, user_id, sealed_secret) values ($1, $2, $3)",
            access_key,
            user_id,
            self._keyring.seal(KEYPAIR_SECRET, secret_key, context=access_key),
        )

    async def credentials_of(self, email_fingerprint: str) -> Credentials:
        """Return whose e-mail address has this fingerprint, and the password hash."""
        row = await self._pool.fetchrow(_CREDENTIALS, EMAIL, email_fingerprint)
        if row is None or row["sealed_hash"] is None:
            return Credentials(None, None)
        user_id: str = row["owner"]
        encoded = self._keyring.open_text(PASSWORD_HASH, row["sealed_hash"], context=user_id)
        return Credentials(user_id, encoded)

    async def person_keys(self, user_ids: Sequence[str]) -> dict[str, Sealed | None]:
        """Return persons' keys sealed for transport; None for erased (and unknown) persons."""
        rows = await self._pool.fetch(
            "select user_id, sealed_key from person_keys where user_id = any($1::text[])",
            list(user_ids),
        )
        answer: dict[str, Sealed | None] = dict.fromkeys(user_ids)
        for user_id, sealed in rows:
            key = PersonKey.unwrap(self._keyring, user_id, sealed, PERSON_KEY)
            answer[user_id] = key.wrap(self._keyring)
        return answer

    async def secret_keys(self, access_keys: Sequence[str]) -> dict[str, Sealed | None]:
        """Return keypairs' secrets sealed for transport; None for unknown access keys."""
        rows = await self._pool.fetch(
            "select access_key, sealed_secret from keypair_secrets"
            " where access_key = any($1::text[])",
            list(access_keys),
        )
        answer: dict[str, Sealed | None] = dict.fromkeys(access_keys)
        for access_key, sealed in rows:
            secret = self._keyring.open_text(KEYPAIR_SECRET, sealed, context=access_key)
            answer[access_key] = seal_secret_key(self._keyring, access_key, secret)
        return answer
