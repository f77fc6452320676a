"""Follows one event stream as a service does, and prints what an event costs.

`python -m tests.benchmarks.rebuild NATS_URL DATABASE_URL EVENTS` prints a JSON object: for a plain
client and for a projection the events a second and the microseconds of processor time an event.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import asyncpg
import nats
import uvloop
from nats.js.api import AckPolicy, ConsumerConfig

from shared.eventlog.pool import open_pool
from shared.eventlog.records import Recorded
from shared.messaging import connection
from shared.projections.projection import Tables
from shared.projections.runner import ProjectionRunner
from shared.runtime.collector import calm

BATCH = 500
ROUNDS = 3


class Count:
    """The least that a projection can do."""

    name = "count"
    version = 1
    sources = ("users",)
    tables = ("count",)

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the table with its one row."""
        await tx.execute(f"create table {tables('count')} as select 0::bigint as events")

    async def apply(
        self, tx: asyncpg.Connection, tables: Tables, _source: str, events: Sequence[Recorded]
    ) -> None:
        """Count the events."""
        await tx.execute(f"update {tables('count')} set events = events + $1", len(events))


async def measured(work, events):
    """Return the rate and the cost of one run."""
    began, cpu = time.perf_counter(), time.process_time()
    await work
    taken_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return {"per_s": events / taken_s, "cpu_us": cpu_s / events * 1e6}


async def plain(url, events):
    """Fetch everything with nats-py as it comes, doing nothing with it."""
    client = await nats.connect(url)
    js = client.jetstream()
    silent = ConsumerConfig(ack_policy=AckPolicy.NONE)
    subscription = await js.pull_subscribe("evt.users.>", stream="EVENTS_users", config=silent)
    left = events
    while left:
        left -= len(await subscription.fetch(min(BATCH, left), timeout=5))
    await client.close()


async def main(nats_url, database_url, events):
    """Measure both, several times, and print the best of each."""
    pool = await open_pool(database_url, name="rebuild")
    client = await connection.connect(nats_url, "rebuild")
    runner = ProjectionRunner(pool, client, [Count()])
    await runner.prepare()
    calm()
    following = asyncio.create_task(runner.run())
    best = {"plain": [], "projection": []}
    best["projection"].append(await measured(runner.wait_for("users", events, 60), events))
    for _ in range(ROUNDS):
        best["plain"].append(await measured(plain(nats_url, events), events))
        shown = asyncio.Event()
        runner.on_flip(lambda _name, shown=shown: shown.set())
        await runner.rebuild("count")
        best["projection"].append(await measured(shown.wait(), events))
    counted = await pool.fetchval("select events from count")
    figures = {name: min(runs, key=lambda run: run["cpu_us"]) for name, runs in best.items()}
    sys.stdout.write(json.dumps({**figures, "counted": counted}) + "\n")
    following.cancel()
    pool.terminate()
    await connection.close(client)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
