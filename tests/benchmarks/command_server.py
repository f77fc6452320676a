"""Answers commands in a process of its own: `python -m tests.benchmarks.command_server URL MS`.

Each command holds its place for MS milliseconds, as one that waits for its commit does.
"""

import asyncio
import sys

import uvloop

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted
from shared.messaging import connection
from shared.messaging.broker import make_broker
from shared.messaging.commands import CommandServer

CONCURRENCY = 8
QUEUE_LIMIT = 32


async def pause(length_s):
    """Take a while: the length of it is what is measured with."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(length_s, over.set)
    await over.wait()


async def main(url, pause_s):
    """Serve until killed."""

    async def accept(_command, _context):
        await pause(pause_s)
        return Accepted(service="agents", position=1)

    client = await connection.connect(url, "server")
    broker = make_broker(client, "agents")
    server = CommandServer(broker, "agents", concurrency=CONCURRENCY, queue_limit=QUEUE_LIMIT)
    server.handle(SetAgentSchedulable, accept)
    await broker.start()
    await client.flush()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2]) / 1000))
