"""The secrets of the users service: persons' keys, password hashes, keypair secrets.

Each is sealed under the installation's master key for its own purpose and bound to its owner, so
neither a copy of the database nor a row moved to another place gives anything away.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
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
    select owner, value, sealed_hash, changed_at
    from claims join credentials on user_id = owner
    where kind = 'email' and {which} = $1
"""
_CREDENTIALS_OF_ADDRESS: Final = _CREDENTIALS.format(which="value")
_CREDENTIALS_OF_USER: Final = _CREDENTIALS.format(which="owner")
_SET_CREDENTIALS: Final = """
    insert into credentials (user_id, sealed_hash, changed_at) values ($1, $2, now())
    on conflict (user_id) do update set sealed_hash = excluded.sealed_hash, changed_at = now()
"""
_HOLD: Final = """
    select status, changed_at from accounts join credentials using (user_id)
    where user_id = $1 for no key update
"""
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Credentials(NamedTuple):
    """What a password is checked against; the first two are None for somebody unknown.

    `fingerprint` is that of the e-mail address; `changed_at` is when somebody chose the password.
    """

    user_id: str | None = None
    encoded_hash: str | None = None
    fingerprint: str = ""
    changed_at: datetime = NEVER


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

    async def forget_secret_key(self, connection: asyncpg.Connection, access_key: str) -> None:
        """Remove the secret of a deleted keypair."""
        await connection.execute("delete from keypair_secrets where access_key = $1", access_key)

    async def credentials_of(self, email_fingerprint: str) -> Credentials:
        """Return whose e-mail address has this fingerprint, and the password hash."""
        return await self._credentials(_CREDENTIALS_OF_ADDRESS, email_fingerprint)

    async def credentials_of_user(self, user_id: str) -> Credentials:
        """Return a user's password hash, with the fingerprint of the address."""
        return await self._credentials(_CREDENTIALS_OF_USER, user_id)

    async def _credentials(self, sql: str, value: str) -> Credentials:
        row = await self._pool.fetchrow(sql, value)
        if row is None:
            return Credentials()
        user_id, fingerprint, sealed, changed_at = row
        encoded = self._keyring.open_text(PASSWORD_HASH, sealed, context=user_id)
        return Credentials(user_id, encoded, fingerprint, changed_at)

    async def hold_credentials(
        self, connection: asyncpg.Connection, user_id: str, known: Credentials
    ) -> str | None:
        """Keep a user's account and password as they are until the commit.

        Returns the account's status, or None when the password is not the one that is known.
        """
        row = await connection.fetchrow(_HOLD, user_id)
        if row is None or row["changed_at"] != known.changed_at:
            return None
        status: str = row["status"]
        return status

    async def renew_password(
        self, connection: asyncpg.Connection, user_id: str, encoded_hash: str
    ) -> None:
        """Keep the same password under another hash."""
        await connection.execute(
            "update credentials set sealed_hash = $2 where user_id = $1",
            user_id,
            self._keyring.seal(PASSWORD_HASH, encoded_hash, context=user_id),
        )

    async def person_key(self, user_id: str) -> PersonKey | None:
        """Return a person's key, None for an erased (or unknown) person."""
        sealed: Sealed | None = await self._pool.fetchval(
            "select sealed_key from person_keys where user_id = $1", user_id
        )
        if sealed is None:
            return None
        return PersonKey.unwrap(self._keyring, user_id, sealed, PERSON_KEY)

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
