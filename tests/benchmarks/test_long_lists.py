"""Lists of users with filter, sort and page, over 1 000 and over 100 000 of them.

Every request asks for something else, so that no page is answered from memory; how many there are
in all is counted once for each filter and remembered until somebody changes.
"""

import random
import statistics
import time
from datetime import datetime

import httpx
import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port
from services.gateway.http.parameters import SortKey, encode_cursor
from shared.kernel.clock import render_time
from shared.testing.services import ServiceProcess
from tests.benchmarks.crowd import SELDOM, fill, person
from tests.gateway.integration.harness import start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
FEW, MANY = 1_000, 100_000
REQUESTS = 30
WANTED = 3.0


def cursors(sort, size):
    """Yield the ends of pages anywhere in the list."""
    chosen = random.Random(1)
    key = SortKey(sort.removeprefix("-"), sort.startswith("-"))
    while True:
        user = person(chosen.randrange(size))
        value = getattr(user, key.name)
        shown = render_time(value) if isinstance(value, datetime) else value
        yield encode_cursor((key,), (shown, user.id))


def pages(narrowed, sort, size):
    """Yield queries of pages anywhere in a list that is narrowed and sorted."""
    for cursor in cursors(sort, size):
        yield f"{narrowed}&sort={sort}&cursor={cursor}".removeprefix("&")


def chosen_numbers(query, most):
    """Yield queries with a number in them, each time another."""
    chosen = random.Random(2)
    while True:
        yield query.format(chosen.randrange(most))


def asked(size):
    """Return by name what is asked for, each time something else."""
    orders = ("created_at", "-email", "username", "full_name", "-last_login_at", "status")
    narrow = ("status=inactive", "role=admin", "domain=lab&status=active")
    return {
        **{f"by {sort}": pages("", sort, size) for sort in orders},
        **{f"{narrowed} by -email": pages(narrowed, "-email", size) for narrowed in narrow},
        "one e-mail": chosen_numbers("email=.{}@example&sort=username", size),
        "a name in a hundred": pages(f"full_name={SELDOM}", "-username", size),
        "what all have": pages("email=example.org", "username", size),
        "by offset": chosen_numbers("sort=email&offset={}", 800),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateways(postgres_server, tmp_path_factory):
    """Two gateways of one installation, with few and with many users to show."""
    stack = await start_stack(postgres_server, tmp_path_factory.mktemp("lists"))
    few = stack.services["gateway"]
    url = await stack.databases.database("gateway")
    environ = {**few.environ, "QM_DATABASE_URL": url, "QM_HTTP_PORT": str(free_port())}
    many = ServiceProcess("gateway", environ)
    try:
        await many.start()  # makes the tables
        for gateway, database, size in ((few, stack.urls["gateway"], FEW), (many, url, MANY)):
            await gateway.stop()
            await fill(database, size)
            await gateway.start()
        client = await stack.logged_in()
        other = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{many.http_port}", headers=client.headers, timeout=30
        )
        yield client, other
        await other.aclose()
    finally:
        await many.stop()
        await stack.stop()


async def timed(client, query):
    """Return how long a page took, in milliseconds."""
    started = time.perf_counter()
    answer = await client.get(f"/v1/users?{query}")
    taken_s = time.perf_counter() - started
    assert answer.status_code == 200, answer.text
    return taken_s * 1000


async def test_a_hundred_times_as_many_take_less_than_three_times_as_long(gateways, show):
    few, many = gateways
    assert (await few.get("/v1/users?limit=1")).json()["total"] == FEW + 1
    assert (await many.get("/v1/users?limit=1")).json()["total"] == MANY + 1
    ratios = {}
    of_many = asked(MANY)
    for name, queries in asked(FEW).items():
        times = [
            (await timed(few, next(queries)), await timed(many, next(of_many[name])))
            for _ in range(REQUESTS)  # one beside the other: what else goes on slows both
        ]
        short, long = (statistics.median(column) for column in zip(*times, strict=True))
        ratios[name] = long / short
        show(
            f"{name}: {short:.1f} ms over {FEW} users, {long:.1f} ms over {MANY},"
            f" {ratios[name]:.2f} x (below {WANTED})"
        )
    assert max(ratios.values()) < WANTED, ratios
