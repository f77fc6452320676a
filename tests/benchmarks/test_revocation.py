"""How long after a keypair was deactivated on one gateway another one still lets it in."""

import statistics
import time

import httpx
import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port
from shared.testing.services import ServiceProcess
from tests.benchmarks.figures import beside
from tests.gateway.integration.harness import ADMIN, PASSWORD, Signature, start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]
ROUNDS = 60
WANTED_MS = 100.0
# The bare way is one request to the other gateway: it cannot be refused sooner than it is asked.
TIMES_BARE_MAX = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateways(postgres_server, tmp_path_factory):
    """Give the addresses of two gateways of one installation."""
    stack = await start_stack(postgres_server, tmp_path_factory.mktemp("revocation"))
    environ = {**stack.services["gateway"].environ, "QM_HTTP_PORT": str(free_port())}
    other = ServiceProcess("gateway", environ)
    try:
        await other.start()
        yield stack.url, f"http://127.0.0.1:{other.http_port}"
    finally:
        await other.stop()
        await stack.stop()


async def asked(client):
    """Ask once; returns the status and how many milliseconds it took."""
    started = time.perf_counter()
    answer = await client.get("/v1/users/me")
    return answer.status_code, (time.perf_counter() - started) * 1000


async def refused_after_ms(client):
    """Ask until the other gateway refuses."""
    started = time.perf_counter()
    while (await asked(client))[0] == 200:
        pass
    return (time.perf_counter() - started) * 1000


async def test_a_deactivated_keypair_is_soon_refused_elsewhere(gateways, show):
    here, there = gateways
    root = Signature(ADMIN["access_key"], ADMIN["secret_key"])
    body = {"email": "gone@example.org", "username": "gone", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=here, auth=root, timeout=30) as admin:
        made = (await admin.post("/v1/users", json=body)).json()
        key = made["main_access_key"]
        await admin.patch(f"/v1/keypairs/{key}", json={"rate_limit": None})
        owner = Signature(key, made["secret_key"])
        bare, late = [], []
        async with httpx.AsyncClient(base_url=there, auth=owner, timeout=30) as client:
            for _ in range(ROUNDS):
                while (await asked(client))[0] != 200:
                    pass
                bare.append((await asked(client))[1])
                assert (await admin.post(f"/v1/keypairs/{key}/deactivate")).status_code == 200
                late.append(await refused_after_ms(client))
                assert (await admin.post(f"/v1/keypairs/{key}/activate")).status_code == 200
    median, slowest = statistics.median(late), statistics.quantiles(late, n=100)[98]
    ratio = median / statistics.median(bare)
    show(
        f"refused elsewhere, from the answer to the refusal: p50 {median:.1f} ms,"
        f" p99 {beside(slowest, WANTED_MS, 'ms')}; {ratio:.1f} bare requests"
        f" (at most {TIMES_BARE_MAX:g})"
    )
    assert ratio <= TIMES_BARE_MAX
