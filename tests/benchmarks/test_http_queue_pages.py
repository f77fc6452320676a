"""Pages of a queue of 100 000 of 1 000 users through HTTP, beside a bare endpoint of that process.

Before each page another session has come, so that none is answered from memory.
"""

import asyncio
import statistics
import time
from itertools import count

import msgspec
import pytest
import pytest_asyncio

from tests.benchmarks.figures import beside
from tests.benchmarks.test_http_enqueue import CLIENTS, OFFERING, is_made, session
from tests.benchmarks.test_signed_page import BareGateway
from tests.gateway.integration.harness import GIB, Signature, eventually, start_stack
from tests.gateway.integration.people import made, project

USERS = 1_000
EACH = 100
WAITING = USERS * EACH
PAGE = 20
ROUNDS = 25
WANTED_MS = 50
QUEUE = "/v1/sessions/pending?resource_group=default"
ROOM = {"cpu": 4_000, "mem": 64 * GIB}
ASKED = ({"cpu": 1, "mem": "1g"}, {"cpu": 1, "mem": "24g"}, {"cpu": 2, "mem": "4g"})
UNLIMITED = {"max_concurrent_sessions": None, "max_pending_session_count": None}
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres_server, tmp_path_factory):
    started = await start_stack(postgres_server, tmp_path_factory.mktemp("queue"))
    try:
        await started.services["gateway"].stop()
        started.services["gateway"] = BareGateway("gateway", started.services["gateway"].environ)
        await started.services["gateway"].start()
        yield started
    finally:
        await started.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(stack):
    """An administrator of a group that places by shares and is full."""
    client = await stack.logged_in()
    answer = await client.patch("/v1/resource-groups/default", json={"scheduler": "drf"})
    assert answer.status_code == 200, answer.text
    answer = await client.patch("/v1/keypair-policies/default", json=UNLIMITED)
    assert answer.status_code == 200, answer.text
    profile = msgspec.structs.replace(OFFERING, available_slots=ROOM)

    async def is_known():
        await stack.beat("a1", profile=profile)
        return await client.post("/v1/sessions", json=session("all", resources={"cpu": 4}))

    await eventually(is_known, is_made)
    return client


async def each(work, items):
    """Do some work for each item, CLIENTS at once."""
    left = iter(items)

    async def go_on():
        for item in left:
            await work(item)

    await asyncio.gather(*(go_on() for _ in range(CLIENTS)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signatures(stack, admin):
    """How each of the users signs, all of whom have equally many sessions waiting."""
    team = (await project(admin))["id"]
    found, client = [], stack.client()

    async def enter(number):
        user = await made(admin, projects=[team])
        signature = Signature(user["main_access_key"], user["secret_key"])
        body = session(f"s{number}", count=EACH, resources=ASKED[number % len(ASKED)])
        answer = await client.post("/v1/sessions", json=body, auth=signature)
        assert is_made(answer), answer.text
        found.append(signature)

    await each(enter, range(USERS))
    await eventually(lambda: client_total(admin), lambda total: total >= WAITING, 120)
    return found


async def client_total(client):
    return (await client.get(f"{QUEUE}&limit=1")).json()["total"]


async def timed(client, path):
    """Return an answer, and how long it took in milliseconds."""
    began = time.perf_counter()
    answer = await client.get(path)
    took_ms = (time.perf_counter() - began) * 1e3
    assert answer.status_code == 200, answer.text
    return answer.json(), took_ms


async def test_a_page_anywhere_in_a_long_queue(stack, admin, signatures, show):
    numbers = count()
    offsets = {"first": 0, "middle": WAITING // 2, "last": WAITING - PAGE}
    bare_ms, pages_ms = [], {name: [] for name in offsets}
    for number in range(ROUNDS):
        for name, offset in offsets.items():
            body = session(f"late{next(numbers)}", resources=ASKED[0])
            answer = await stack.clients[-1].post(
                "/v1/sessions", json=body, auth=signatures[number * 7 % USERS]
            )
            assert is_made(answer), answer.text
            bare_ms.append((await timed(admin, "/bare"))[1])
            page, took_ms = await timed(admin, f"{QUEUE}&limit={PAGE}&offset={offset}")
            pages_ms[name].append(took_ms)
            positions = [item["position"] for item in page["items"]]
            assert positions == list(range(offset + 1, offset + PAGE + 1))
    bare = statistics.median(bare_ms)
    for name, times_ms in pages_ms.items():
        middle, most = statistics.median(times_ms), max(times_ms)
        show(
            f"the {name} page of {PAGE} of {WAITING:,} waiting of {USERS:,} users, through HTTP:"
            f" p50 {beside(middle, WANTED_MS, 'ms')}, most {beside(most, WANTED_MS, 'ms')},"
            f" {middle / bare:.1f} x a bare answer ({bare:.2f} ms)"
        )
