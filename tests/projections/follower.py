"""Runs the journal as a process of its own, until it is killed."""

import asyncio
import os
import sys

from shared.eventlog.pool import open_pool
from shared.messaging import connection
from shared.projections.runner import ProjectionRunner
from tests.projections.journal import Journal


async def main() -> None:
    """Follow, and say so."""
    pool = await open_pool(os.environ["FOLLOW_DATABASE"], name="follower")
    nats = await connection.connect(os.environ["FOLLOW_NATS"], "follower")
    runner = ProjectionRunner(pool, nats, [Journal()])
    await runner.prepare()
    sys.stdout.write("following\n")
    sys.stdout.flush()
    await runner.run()


if __name__ == "__main__":
    asyncio.run(main())
