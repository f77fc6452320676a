"""Brings the database, the streams and the keys up to date; runs as a process of its own.

The libraries that this needs are large, and the supervisor that waits for it stays small.
"""

import asyncio
import json
import sys
from pathlib import Path

from deploy.embedded.layout import Layout
from deploy.embedded.passwords import load_passwords
from deploy.provision import provision
from shared.security.sealing import Keyring


async def prepare(layout: Layout, agent_id: str) -> None:
    """Do everything that the services need to find when they start; safe to repeat."""
    ensure_keys(layout, agent_id)
    connections = json.loads(layout.connections.read_text())
    await provision(
        connections["database_url"], connections["nats_url"], load_passwords(layout).postgres
    )


def ensure_keys(layout: Layout, agent_id: str) -> None:
    """Make the master key once; the node's key follows from it at each start.

    A master key that was there before and is gone ends the start: a new one would open nothing.
    """
    if not layout.master_key.exists():
        if layout.node_key.exists():
            raise SystemExit(
                f"The master key {layout.master_key} is gone. What is sealed with it, personal data"
                " and secrets, cannot be read without it: put it back from your backup."
            )
        Keyring.generate().save(layout.master_key)
    Keyring.load(layout.master_key).node_key(agent_id).save(layout.node_key)


def main() -> None:
    """Prepare the installation in a directory for an embedded node: the two arguments."""
    data, agent_id = sys.argv[1:]
    asyncio.run(prepare(Layout(Path(data)), agent_id))


if __name__ == "__main__":
    main()
