"""A command through HTTP: durable in the log, visible in the read models, answered."""

import statistics
import time

import asyncpg
import pytest
import pytest_asyncio

from shared.messaging.connection import connect
from tests.benchmarks.figures import beside, median_ratio
from tests.gateway.integration.harness import IMAGE, eventually, start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]
ROUNDS = 9
ROUND = 40
WANTED_MS = 12.0
# The bare way: one answer of the gateway's server, one commit, one request over NATS. A command
# takes each of them at least once, and is decided, signed for and followed to the read model.
TIMES_BARE_MAX = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres_server, tmp_path_factory):
    made = await start_stack(postgres_server, tmp_path_factory.mktemp("latency"))
    try:
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(stack):
    client = await stack.logged_in()

    async def listed():
        await stack.beat("a1")
        return (await client.get("/v1/agents")).json()["items"]

    await eventually(listed, bool)
    return client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(stack, admin, postgres_server):
    """Give what does the least that a command needs."""
    database = await asyncpg.connect(postgres_server.admin_url())
    await database.execute("create table bare_latency (id bigserial primary key, data text)")
    server = await connect(stack.nats_server.url, "bare")

    async def answer(message):
        await message.respond(message.data)

    await server.subscribe("bare.latency", cb=answer)
    await server.flush()

    async def way(_number):
        response = await admin.get("/healthz")
        await database.execute("insert into bare_latency (data) values ($1)", "x" * 300)
        await stack.nats.request("bare.latency", b"x" * 300, timeout=5)
        return response

    yield way
    await database.execute("drop table bare_latency")
    await database.close()
    await server.close()


async def median_ms(send, status):
    """Return the median time of one of a round in milliseconds."""
    times = []
    for number in range(ROUND):
        started = time.perf_counter()
        answer = await send(number)
        times.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == status, answer.text
    return statistics.median(times)


async def compared(send, status, bare):
    """Return how long one takes, in words, and the ratio to the bare way of the same rounds."""
    await median_ms(bare, 200)
    await median_ms(send, status)
    taken, least = [], []
    for _ in range(ROUNDS):
        least.append(await median_ms(bare, 200))
        taken.append(await median_ms(send, status))
    ratio = median_ratio(taken, least)
    figure = beside(statistics.median(taken), WANTED_MS, "ms")
    return (
        f"{figure}; bare answer, commit and request {statistics.median(least):.1f} ms: "
        f"{ratio:.1f} times as long (at most {TIMES_BARE_MAX:g})"
    ), ratio


async def test_a_command_is_durable_and_visible_soon(admin, bare, show):
    async def switch(number):
        return await admin.patch("/v1/agents/a1", json={"schedulable": bool(number % 2)})

    words, ratio = await compared(switch, 200, bare)
    show(f"command {words}")
    assert ratio <= TIMES_BARE_MAX


async def test_a_session_is_accepted_soon(admin, bare, show):
    async def submit(number):
        body = {
            "name": f"s{number}-{time.monotonic_ns()}",
            "type": "batch",
            "image": IMAGE,
            "resources": {"cpu": 4, "mem": "1g"},
            "command": ["true"],
        }
        return await admin.post("/v1/sessions", json=body)

    words, ratio = await compared(submit, 201, bare)
    show(f"session accepted and visible {words}")
    assert ratio <= TIMES_BARE_MAX
