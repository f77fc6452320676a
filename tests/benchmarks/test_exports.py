"""A million users as CSV: how much memory the gateway takes for it, how fast, and who waits.

What is asserted is that a hundred times as many rows take no more memory, also while whoever takes
them stops in the middle.
"""

import statistics
import time
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
import pytest_asyncio

from tests.benchmarks.crowd import fill
from tests.benchmarks.figures import beside
from tests.gateway.integration.harness import start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
PATH = "/v1/exports/users.csv"
FEW, MANY = 10_000, 1_000_000
SEED = 1_000
MIB = 2**20
GROWTH_MIB = 48.0
FIRST_BYTE_S = 2.0
ROWS_A_S = 10_000
ASKED = 200


async def multiply(url):
    """Let the read model hold `MANY` users: copies of a few, under other ids, a second apart."""
    database = await asyncpg.connect(url)
    table = await database.fetchval(
        "select 'users_g' || generation from projection_generations"
        " where projection = 'users' and state = 'live'"
    )
    others = await database.fetch(
        "select indexname from pg_indexes where tablename = $1 and indexname not like '%_pkey'"
        " and indexdef not like '%(created_at, id)%'",
        table,
    )
    for index in others:  # of no use here, and slow to fill
        await database.execute(f"drop index {index[0]}")
    names = await database.fetchval(
        "select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = $1::text"
        "::regclass and attnum > 0 and attname not in ('id', 'doc', 'created_at')",
        table,
    )
    await database.execute(
        f"insert into {table} (id, doc, created_at, {names})"
        " select id || '-' || n, replace(doc, id, id || '-' || n),"
        f" created_at + n * interval '1 hour', {names}"
        f" from {table}, generate_series(1, {MANY // SEED - 1}) n where id like '0%'"
        " and length(id) = 32",
        timeout=300,
    )
    await database.execute(f"vacuum analyze {table}", timeout=300)
    await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def million(postgres_server, tmp_path_factory):
    stack = await start_stack(postgres_server, tmp_path_factory.mktemp("exports"))
    try:
        await fill(stack.urls["gateway"], SEED)
        await multiply(stack.urls["gateway"])  # what the gateway does not know of takes no memory
        yield stack, await stack.logged_in()
    finally:
        await stack.stop()


class Peak:
    """The most memory that a process has held since this was made."""

    def __init__(self, pid):
        self._process = Path("/proc", str(pid))
        (self._process / "clear_refs").write_text("5")

    def mib(self):
        lines = (self._process / "status").read_text().splitlines()
        held = next(line for line in lines if line.startswith("VmHWM"))
        return int(held.split()[1]) * 1024 / MIB


def pid_of(stack):
    """Return the gateway's process, which listens on its port."""
    port = stack.services["gateway"].http_port
    held = next(
        one
        for one in psutil.net_connections("tcp")
        if one.status == "LISTEN" and one.laddr.port == port
    )
    return held.pid


async def taken(client, query, pause=None):
    """Take an export; return rows, seconds to the first byte, and seconds in all."""
    started = time.perf_counter()
    first_s, lines = None, 0
    async with client.stream("GET", f"{PATH}?{query}") as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_raw():
            first_s = first_s or time.perf_counter() - started
            lines += piece.count(b"\r\n")
            if pause is not None and lines > FEW:
                await pause()
                pause = None
    return lines - 1, first_s, time.perf_counter() - started


async def test_a_million_rows_take_no_more_memory_than_ten_thousand(million, show):
    stack, client = million
    other = stack.client(headers=client.headers, limits=httpx.Limits(max_connections=1))
    await taken(client, f"id={'0' * 32}")  # what is loaded once is loaded
    peak = Peak(pid_of(stack))
    few, _, _ = await taken(client, "domain=lab&status=inactive")
    small, held, times = peak.mib(), [], []

    async def pause():
        before = peak.mib()
        for _ in range(ASKED):  # the gateway has time to run ahead, if it would
            started = time.perf_counter()
            assert (await other.get("/v1/domains?limit=1")).status_code == 200
            times.append((time.perf_counter() - started) * 1000)
        held.append(peak.mib() - before)

    rows, first_s, whole_s = await taken(client, "", pause)
    large = peak.mib()
    show(f"{few:,} rows: gateway at {small:.0f} MiB; {rows:,} rows: at {large:.0f} MiB")
    show(f"memory for a million more rows: {beside(large - small, GROWTH_MIB, 'MiB')}")
    show(f"held for one who stopped: {beside(held[0], GROWTH_MIB, 'MiB')}")
    show(f"first byte: {beside(first_s, FIRST_BYTE_S, 's')}")
    show(
        f"rows: {beside(rows / (whole_s - sum(times) / 1000), ROWS_A_S, 'a second', at_least=True)}"
    )
    show(f"other requests beside it: median {statistics.median(times):.1f} ms")
    assert rows == MANY + 1  # the administrator
    assert max(large - small, held[0]) < GROWTH_MIB
