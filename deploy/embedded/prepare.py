"""Brings the database, the streams and the keys up to date; runs as a process of its own.

The libraries that this needs are large, and the supervisor that waits for it stays small.
"""

import asyncio
import json
import sys
from pathlib import Path

import asyncpg

from deploy.embedded.layout import Layout
from deploy.embedded.passwords import load_passwords
from deploy.embedded.roster import DATABASE
from shared.eventlog.migrate import migrate, role_of
from shared.messaging.connection import close, connect
from shared.messaging.streams import provision
from shared.security.sealing import Keyring


async def prepare(layout: Layout, agent_id: str) -> None:
    """Do everything that the services need to find when they start; safe to repeat."""
    connections = json.loads(layout.connections.read_text())
    await _ensure_database(connections["server_url"])
    await asyncio.gather(
        _migrate(connections["database_url"], load_passwords(layout).postgres),
        _provision(connections["nats_url"]),
        asyncio.to_thread(_ensure_keys, layout, agent_id),
    )


async def _ensure_database(server_url: str) -> None:
    connection = await asyncpg.connect(server_url, timeout=30)
    try:
        query = "SELECT 1 FROM pg_database WHERE datname = $1"
        if await connection.fetchval(query, DATABASE) is None:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
            await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM public")
    finally:
        await connection.close()


async def _migrate(database_url: str, passwords: dict[str, str]) -> None:
    await migrate(database_url, passwords=passwords)
    connection = await asyncpg.connect(database_url, timeout=30)
    try:
        for service in passwords:
            await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {role_of(service)}")
    finally:
        await connection.close()


async def _provision(nats_url: str) -> None:
    client = await connect(nats_url, "prepare")
    await provision(client)
    await close(client)


def _ensure_keys(layout: Layout, agent_id: str) -> None:
    """Make the master key once; the node's key follows from it at each start."""
    if not layout.master_key.exists():
        Keyring.generate().save(layout.master_key)
    Keyring.load(layout.master_key).node_key(agent_id).save(layout.node_key)


def main() -> None:
    """Prepare the installation in a directory for an embedded node: the two arguments."""
    data, agent_id = sys.argv[1:]
    asyncio.run(prepare(Layout(Path(data)), agent_id))


if __name__ == "__main__":
    main()
