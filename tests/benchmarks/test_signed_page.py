"""A signed page of 20 users out of 10 000, beside a bare Litestar endpoint of the same process."""

import asyncio
import random
import statistics
import sys
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from services.gateway.http.parameters import SortKey, encode_cursor
from shared.kernel.clock import render_time
from shared.kernel.ids import new_id
from shared.security.signatures import RequestParts, sign
from shared.testing.services import ServiceProcess
from tests.benchmarks.crowd import fill
from tests.benchmarks.figures import beside, median_ratio
from tests.gateway.integration.harness import PASSWORD, start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]
USERS = 10_000
SIGNERS = 8
PAGE = 20
SORT = (SortKey("created_at", descending=False),)
CLIENTS = 16
ROUND_S = 1.5
ROUNDS = 3
WANTED = 0.5
MORE_CLIENTS_MIN = 1.0
HERE = Path(__file__).parent


class BareGateway(ServiceProcess):
    """The gateway's process with the bare endpoint in it."""

    async def spawn(self):
        self._seen = len(self.output)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "bare_gateway.py"),
            cwd=HERE.parents[1],
            env={**self.environ, "PYTHONPATH": str(HERE.parents[1])},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read(self._process))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres_server, tmp_path_factory):
    made = await start_stack(postgres_server, tmp_path_factory.mktemp("page"))
    try:
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signers(stack):
    """Administrators with a keypair each, and 10 000 rows for them to page through."""
    admin = await stack.logged_in()
    made = []
    for _ in range(SIGNERS):
        name = f"a{new_id()[-12:]}"
        body = {"email": f"{name}@e.org", "username": name, "password": PASSWORD}
        answer = await admin.post("/v1/users", json={**body, "role": "superadmin"})
        made.append((answer.json()["main_access_key"], answer.json()["secret_key"]))
    await stack.services["gateway"].stop()
    await fill(stack.urls["gateway"], USERS)
    database = await asyncpg.connect(stack.urls["gateway"])
    table = await database.fetchval(
        "select 'users_g' || max(generation) from projection_generations where projection = 'users'"
    )
    rows = await database.fetch(f"select created_at, id from {table} order by 1, 2")
    await database.close()
    stack.services["gateway"] = BareGateway("gateway", stack.services["gateway"].environ)
    await stack.services["gateway"].start()
    return made, [encode_cursor(SORT, (render_time(row[0]), row[1])) for row in rows[:-PAGE]]


def signed_requests(port, keypairs, count, query):
    """Return signed requests, each of which is good once."""
    host = f"127.0.0.1:{port}"
    for number in range(count):
        access_key, secret_key = keypairs[number % len(keypairs)]
        parts = RequestParts("GET", host, "/v1/users", query(number))
        headers = sign(parts, access_key=access_key, secret_key=secret_key)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        yield f"GET /v1/users?{query(number)} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode()


async def load(port, requests, clients=CLIENTS, *, repeat=False):
    """Return answers a second and the median time of one in milliseconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "load.py"),
        str(port),
        str(clients),
        str(ROUND_S),
        *(["--repeat"] if repeat else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(b"\n--\n".join(requests))
    rate, median_ms = map(float, output.split())
    return rate, median_ms


async def compared(port, keypairs, query):
    bare = [b"GET /bare HTTP/1.1\r\nhost: x\r\n\r\n"]
    bare_rates, signed_rates = [], []
    for _ in range(ROUNDS):
        bare_rates.append((await load(port, bare, repeat=True))[0])
        enough = int(bare_rates[-1] * ROUND_S * 2)
        requests = list(signed_requests(port, keypairs, enough, query))
        signed_rates.append((await load(port, requests))[0])
    ratios = [signed / bare for signed, bare in zip(signed_rates, bare_rates, strict=True)]
    return statistics.median(ratios), statistics.median(bare_rates), statistics.median(signed_rates)


async def test_a_signed_page_costs_at_most_twice_a_bare_answer(stack, signers, show):
    keypairs, cursors = signers
    port = stack.services["gateway"].http_port
    client = stack.signed(*keypairs[0])
    page = (await client.get("/v1/users?limit=20")).json()
    assert page["total"] >= USERS
    assert len(page["items"]) == 20
    ratio, bare, signed = await compared(port, keypairs, lambda _: f"limit={PAGE}")
    show(
        f"signed page {signed:.0f}/s, bare {bare:.0f}/s: "
        + beside(ratio, WANTED, "of bare", at_least=True)
    )
    chosen = random.Random(1).choices(cursors, k=50_000)
    other, bare, signed = await compared(
        port, keypairs, lambda number: f"limit={PAGE}&cursor={chosen[number]}"
    )
    show(f"every page another {signed:.0f}/s, bare {bare:.0f}/s: {other:.2f}")
    assert ratio >= WANTED


async def test_more_clients_never_mean_less_throughput(stack, signers, show):
    keypairs, _ = signers
    port = stack.services["gateway"].http_port
    rates = {1: [], 64: []}
    for turn in range(2 * ROUNDS):
        for clients, found in sorted(rates.items(), reverse=bool(turn % 2)):
            requests = list(signed_requests(port, keypairs, 6_000, lambda _: f"limit={PAGE}"))
            found.append((await load(port, requests, clients))[0])
    ratio = median_ratio(rates[64], rates[1])
    one, many = (statistics.median(rates[clients]) for clients in (1, 64))
    show(
        f"signed pages with 1 client {one:.0f}/s, with 64 {many:.0f}/s: "
        + beside(ratio, MORE_CLIENTS_MIN, "of 1 client", at_least=True)
    )
    assert ratio >= MORE_CLIENTS_MIN
