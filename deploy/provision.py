"""Brings schemas, roles and streams up to date on any Postgres and NATS; safe to repeat.

    QM_ADMIN_DATABASE_URL=… QM_ADMIN_NATS_URL=… QM_PASSWORDS_FILE=… python -m deploy.provision

The database's address is the administrator's; the database is made if it is missing.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.fingerprint import fingerprint, is_current, remember
from shared.messaging.connection import close, connect
from shared.messaging.streams import provision as provision_streams

CONNECT_TIMEOUT_S: Final = 30
OLDEST_POSTGRES: Final = 15


class ProvisionError(Exception):
    """A server is not one that we can use; the text says why."""


async def provision(
    database_url: str, nats_url: str, passwords: Mapping[str, str], *, replicas: int | None = None
) -> None:
    """Do everything that the services need to find; `passwords` are the services' roles'."""
    await asyncio.gather(
        _provision_database(database_url, passwords),
        _provision_streams(nats_url, replicas=replicas),
    )


async def _provision_database(database_url: str, passwords: Mapping[str, str]) -> None:
    """Make database, roles and schemas as this code wants them, unless they are so already."""
    await _ensure_database(database_url)
    wanted = fingerprint(passwords)
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    try:
        if await is_current(connection, wanted):
            return
        from shared.eventlog.migrate import migrate, role_of  # noqa: PLC0415  # half a second

        await migrate(database_url, passwords=passwords)
        name = _quoted(_name_of(database_url))
        roles = ", ".join(role_of(service) for service in passwords)
        await connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {roles}")
        await remember(connection, wanted)
    finally:
        await connection.close()


async def _ensure_database(database_url: str) -> None:
    """Make the database; nobody connects to it unless it is granted."""
    name = _name_of(database_url)
    connection = await asyncpg.connect(
        urlunsplit(urlsplit(database_url)._replace(path="/postgres")), timeout=CONNECT_TIMEOUT_S
    )
    try:
        version = connection.get_server_version()
        if version.major < OLDEST_POSTGRES:
            raise ProvisionError(f"Postgres {OLDEST_POSTGRES} or later is needed, not {version[0]}")
        query = "SELECT 1 FROM pg_database WHERE datname = $1"
        if await connection.fetchval(query, name) is None:
            await connection.execute(f"CREATE DATABASE {_quoted(name)}")
            await connection.execute(f"REVOKE ALL ON DATABASE {_quoted(name)} FROM public")
    finally:
        await connection.close()


def _name_of(database_url: str) -> str:
    return urlsplit(database_url).path.removeprefix("/")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def _provision_streams(nats_url: str, *, replicas: int | None) -> None:
    client = await connect(nats_url, "provision")
    try:
        await provision_streams(client, replicas=replicas)
    finally:
        await close(client)


def main() -> None:
    """Provision what the environment names."""
    passwords = json.loads(Path(os.environ["QM_PASSWORDS_FILE"]).read_text())
    asyncio.run(
        provision(
            os.environ["QM_ADMIN_DATABASE_URL"],
            os.environ["QM_ADMIN_NATS_URL"],
            passwords["postgres"],
            replicas=int(os.environ.get("QM_STREAM_REPLICAS", "0")) or None,
        )
    )


if __name__ == "__main__":
    main()
