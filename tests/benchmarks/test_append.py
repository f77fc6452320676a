"""What the log adds to a bare insert: numbers, chain, versions, keys; with real fsync."""

import asyncio
import shutil
import statistics
import time

import asyncpg
import pytest
import pytest_asyncio

from deploy.embedded.postgres import EmbeddedPostgres
from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.migrate import migrate
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey, Write
from shared.kernel.ids import new_id
from shared.testing.servers import scratch_directory
from tests.benchmarks.figures import beside

META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="bench")
ROUNDS = 5
SINGLES = 100  # a round
BATCH = 256
CLIENTS = 64
RATIO_MAX = 6.0
BATCHED_TIMES_MIN = 3.0  # events of a batch, beside bare inserts one by one
BATCHED_PER_S = 6_000  # two events of each of 3,000 sessions
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@pytest_asyncio.fixture(loop_scope="session")
async def durable():
    """A log on a Postgres that waits for the disk, and a connection to compare with."""
    directory = scratch_directory("append")
    server = EmbeddedPostgres(directory / "postgres", password="bench")
    await server.start()
    try:
        await migrate(server.admin_url, ["users"], {"users": "bench"})
        pool = await open_pool(server.url("qm_users", "bench", "postgres"), name="bench")
        bare = await asyncpg.connect(server.admin_url)
        await bare.execute("create table bare (id uuid primary key, data json not null)")
        yield EventLog(pool, codec_for("users")), bare
        await bare.close()
        await pool.close()
    finally:
        await server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def one_write():
    name = new_id()
    return Write(f"domain-{name}", 0, [DomainCreated(name=name, description="x" * 200)])


async def timed(action, times):
    taken_s = []
    for _ in range(times):
        begun = time.perf_counter()
        await action()
        taken_s.append(time.perf_counter() - begun)
    return taken_s


async def per_second(log, clients, each):
    async def client():
        for _ in range(each):
            await log.append([one_write()], META)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return clients * each / (time.perf_counter() - begun)


async def test_append_beside_a_bare_insert(durable, show):
    log, bare = durable
    data = log.codec.encode(DomainCreated(name=new_id(), description="x" * 200)).decode()

    async def insert():
        await bare.execute("insert into bare (id, data) values ($1, $2)", new_id(), data)

    async def append():
        await log.append([one_write()], META, command=CommandKey(new_id(), "digest"))

    async def append_many():
        await log.append([one_write() for _ in range(BATCH)], META)

    await timed(insert, 20)
    await timed(append, 20)
    await append_many()
    inserts_s, appends_s, batches_s = [], [], []
    for _ in range(ROUNDS):  # in turns, so that a busy moment meets all of them
        inserts_s += await timed(insert, SINGLES)
        appends_s += await timed(append, SINGLES)
        batches_s += await timed(append_many, 8)
    bare_ms, append_ms = (1000 * statistics.median(s) for s in (inserts_s, appends_s))
    batched_per_s = BATCH / statistics.median(batches_s)
    show(
        f"append of one event with a command key: p50 {append_ms:.2f} ms, bare insert"
        f" {bare_ms:.2f} ms: ratio {append_ms / bare_ms:.1f} (limit {RATIO_MAX});"
        f" {BATCH} events in one append: "
        + beside(batched_per_s, BATCHED_PER_S, "events/s", at_least=True)
        + f", {batched_per_s * bare_ms / 1000:.1f} times bare inserts (limit {BATCHED_TIMES_MIN})"
    )
    assert append_ms / bare_ms <= RATIO_MAX
    assert batched_per_s * bare_ms / 1000 >= BATCHED_TIMES_MIN


async def test_many_clients_append_at_least_as_fast_as_one(durable, show):
    log, _bare = durable
    await per_second(log, 1, 50)
    alone_per_s, together_per_s = [], []
    for _ in range(ROUNDS):  # in turns
        alone_per_s.append(await per_second(log, 1, 100))
        together_per_s.append(await per_second(log, CLIENTS, 8))
    alone, together = statistics.median(alone_per_s), statistics.median(together_per_s)
    show(
        f"appends/s: 1 client {alone:,.0f}, {CLIENTS} clients {together:,.0f}:"
        f" ratio {together / alone:.1f} (limit 1.0)"
    )
    assert together >= alone
