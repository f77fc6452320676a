"""Signed reads while two clients create users without pause, beside the same reads alone."""

import asyncio
import statistics
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from shared.kernel.cancelling import cancel
from shared.kernel.ids import new_id
from shared.security.passwords import PasswordParameters
from tests.benchmarks.figures import beside, median_ratio
from tests.benchmarks.test_signed_page import CLIENTS, PAGE, SIGNERS, load, signed_requests
from tests.gateway.integration.harness import PASSWORD, eventually, start_stack

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]
CREATORS = 2
ROUNDS = 4
ENOUGH = 6_000
WANTED = 0.7
USUAL = PasswordParameters()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(postgres_server, tmp_path_factory):
    """The services, where a password costs what it usually does and not what tests pay."""
    made = await start_stack(
        postgres_server,
        tmp_path_factory.mktemp("mixed"),
        QM_PASSWORD_MEMORY_KIB=str(USUAL.memory_kib),
        QM_PASSWORD_PASSES=str(USUAL.passes),
        QM_PASSWORD_LANES=str(USUAL.lanes),
    )
    try:
        yield made
    finally:
        await made.stop()


class Creators:
    """Clients that create one user after the other, each as soon as the last one is answered."""

    def __init__(self, client):
        self.client = client
        self.created = 0

    async def one(self, **more):
        name = f"m{new_id()[-12:]}"
        body = {"email": f"{name}@e.org", "username": name, "password": PASSWORD, **more}
        answer = await self.client.post("/v1/users", json=body)
        assert answer.status_code in {201, 202}, answer.text
        self.created += 1
        return answer.json()

    async def endlessly(self):
        while True:
            await self.one()

    async def count(self):
        await self.client.get("/v1/domains")  # something that takes the time of an answer
        return self.created

    @asynccontextmanager
    async def at_work(self):
        """Create without pause, from the first one that is there on."""
        before = self.created
        tasks = [asyncio.create_task(self.endlessly()) for _ in range(CREATORS)]
        try:
            await eventually(self.count, lambda created: created > before)
            yield
            assert not any(task.done() for task in tasks)
        finally:
            await cancel(tasks, 30)


async def test_signed_reads_keep_their_rate_while_users_are_created(stack, show):
    creators = Creators(await stack.logged_in())
    made = [await creators.one(role="superadmin") for _ in range(SIGNERS)]
    keypairs = [(user["main_access_key"], user["secret_key"]) for user in made]
    port = stack.services["gateway"].http_port
    alone, beside_creators, started = [], [], creators.created

    async def reads():
        requests = list(signed_requests(port, keypairs, ENOUGH, lambda _: f"limit={PAGE}"))
        return (await load(port, requests, CLIENTS))[0]

    await reads()
    for _ in range(ROUNDS):
        alone.append(await reads())
        async with creators.at_work():
            beside_creators.append(await reads())
    created = creators.created - started
    ratio = median_ratio(beside_creators, alone)
    show(
        f"signed reads alone {statistics.median(alone):.0f}/s, while {CREATORS} clients create"
        f" users without pause ({created} of them) {statistics.median(beside_creators):.0f}/s: "
        + beside(ratio, WANTED, "of the rate alone", at_least=True)
    )
    assert created > ROUNDS
    assert ratio >= WANTED
