"""Sessions accepted and placed through HTTP, one by one and as arrays, beside plain reads."""

import asyncio
import time

import msgspec
import pytest
import pytest_asyncio

from tests.gateway.integration.harness import PROFILE, eventually, start_stack

AGENTS = 20
CLIENTS = 32
SINGLE = 600
ARRAYS = 80
ARRAY_SIZE = 50
WANTED_PER_S = 700
TINY = "lab/tiny:1"  # has no minimum
OFFERING = msgspec.structs.replace(PROFILE, images=(TINY,))
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres_server, tmp_path_factory):
    made = await start_stack(postgres_server, tmp_path_factory.mktemp("enqueue"))
    try:
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(stack):
    client = await stack.logged_in()

    async def listed():
        for number in range(AGENTS):
            await stack.beat(f"a{number}", profile=OFFERING)
        return (await client.get("/v1/agents?status=ALIVE")).json()["total"]

    await eventually(listed, lambda total: total == AGENTS)
    unlimited = {"max_concurrent_sessions": None}
    answer = await client.patch("/v1/keypair-policies/default", json=unlimited)
    assert answer.status_code == 200, answer.text
    # the scheduler follows the agents on its own: the first session waits for it
    await eventually(lambda: client.post("/v1/sessions", json=session("first")), is_made)
    return client


def session(name, **more):
    return {
        "name": name,
        "type": "batch",
        "image": TINY,
        "resources": {"cpu": "0.01", "mem": "1m"},
        "command": ["true"],
        **more,
    }


def is_made(answer):
    return answer.status_code == 201


async def posted(client, name, requests, **more):
    """Post `requests` sessions from CLIENTS at once; return the requests per second."""
    numbers = iter(range(requests))

    async def work():
        for number in numbers:
            answer = await client.post("/v1/sessions", json=session(f"{name}-{number}", **more))
            assert is_made(answer), answer.text

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return requests / (time.perf_counter() - started)


async def placed(client, count):
    """Wait until so many sessions have a place, as every reader sees it."""

    async def total():
        return (await client.get("/v1/sessions?status=SCHEDULED&limit=1")).json()["total"]

    await eventually(total, lambda found: found == count)


async def test_sessions_enter_through_http_and_are_placed(admin, show):
    started = time.perf_counter()
    single_per_s = await posted(admin, "single", SINGLE)
    await placed(admin, 1 + SINGLE)
    begun = time.perf_counter()
    await posted(admin, "array", ARRAYS, count=ARRAY_SIZE)
    await placed(admin, 1 + SINGLE + ARRAYS * ARRAY_SIZE)
    arrays_per_s = ARRAYS * ARRAY_SIZE / (time.perf_counter() - begun)
    show(
        f"through HTTP, accepted, placed and visible: {arrays_per_s:,.0f} sessions/s in arrays of"
        f" {ARRAY_SIZE} ({arrays_per_s / WANTED_PER_S:.1f} x the {WANTED_PER_S} wanted);"
        f" {single_per_s:,.0f} requests/s one by one from {CLIENTS} clients"
        f" ({begun - started:.1f} s for {SINGLE})"
    )
