"""Two gateways of one installation: what one is told or has accepted, the other one knows."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest_asyncio

from deploy.embedded.ports import free_port
from shared.kernel.ids import new_id
from shared.security.signatures import RequestParts, sign
from shared.testing.services import ServiceProcess
from tests.gateway.integration.harness import PASSWORD, Signature, eventually

EVENTS = """
    select count(*) from users.events
    where type = 'KeypairRateLimited' and data->>'access_key' = $1
"""
SAVED = "select coalesce(sum(accepted), 0) from keypair_requests where access_key = $1"
HOST = "gateway.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other(stack):
    """A second gateway beside the one of the stack, on the same database."""
    environ = {**stack.services["gateway"].environ, "QM_HTTP_PORT": str(free_port())}
    made = ServiceProcess("gateway", environ)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def database(stack):
    made = await asyncpg.connect(stack.urls["gateway"])
    yield made
    await made.close()


class AsHost(Signature):
    """Signs for the name that both gateways are reached by, as behind one balancer."""

    def auth_flow(self, request):
        request.headers["host"] = HOST
        address = request.url.copy_with(host=HOST, port=None)
        parts = RequestParts.of_url(request.method, str(address), body=request.content)
        request.headers.update(sign(parts, access_key=self.access_key, secret_key=self.secret_key))
        yield request


@asynccontextmanager
async def both(stack, other, access_key, secret_key):
    """Give a client of each gateway that signs with the same keypair."""
    ports = (stack.services["gateway"].http_port, other.http_port)
    auth = AsHost(access_key, secret_key)
    first, second = (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=auth, timeout=30)
        for port in ports
    )
    async with first, second:
        yield first, second


async def create_user(admin, limit=None):
    name = f"r{new_id()[-12:]}"
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    made = (await admin.post("/v1/users", json=body)).json()
    key = made["main_access_key"]
    if limit is not None:
        answer = await admin.patch(f"/v1/keypairs/{key}", json={"rate_limit": limit})
        assert answer.status_code == 200, answer.text
    return made, key, made["secret_key"]


async def known(client, limit=None):
    """Wait until a gateway knows the keypair and its limit; return how much is left."""

    def holds(answer):
        if limit is None:
            return answer.status_code == 200
        return answer.headers.get("x-ratelimit-limit") == str(limit)

    answer = await eventually(lambda: client.get("/v1/users/me"), holds)
    return int(answer.headers["x-ratelimit-remaining"])


async def status(client):
    answer = await client.get("/v1/users/me")
    return answer.status_code, answer.json().get("code", "")


async def test_a_revocation_holds_for_the_next_request_here_and_soon_there(stack, other, admin):
    made, key, secret = await create_user(admin)
    address, person = f"/v1/keypairs/{key}", f"/v1/users/{made['id']}"
    async with both(stack, other, key, secret) as (here, there):
        await known(there)
        for refuse, restore, code in (
            (f"{address}/deactivate", f"{address}/activate", "keypair_inactive"),
            (f"{person}/deactivate", f"{person}/activate", "user_inactive"),
        ):
            assert (await admin.post(refuse)).status_code == 200
            assert await status(here) == (401, code)
            await eventually(lambda: status(there), lambda found, code=code: found == (401, code))
            assert (await admin.post(restore)).status_code == 200
            assert (await status(here))[0] == 200
            await eventually(lambda: status(there), lambda found: found[0] == 200)


async def test_a_token_that_was_revoked_here_is_refused_there(stack, other, admin, person):
    made, _ = person
    token = await stack.logged_in(made["email"], PASSWORD)
    there = httpx.AsyncClient(base_url=f"http://127.0.0.1:{other.http_port}", timeout=30)
    async with there:
        there.headers["Authorization"] = token.headers["Authorization"]
        await eventually(lambda: status(there), lambda found: found[0] == 200)
        assert (await token.post("/v1/auth/logout")).status_code == 204
        assert await status(token) == (401, "token_invalid")
        await eventually(lambda: status(there), lambda found: found == (401, "token_invalid"))


async def test_a_request_that_was_used_here_is_a_replay_there(stack, other, admin):
    _, key, secret = await create_user(admin, limit=1_000)
    async with both(stack, other, key, secret) as (here, there):
        left = await known(there, 1_000)
        request = here.build_request("GET", "/v1/users/me", headers={"host": HOST})
        assert (await here.send(request)).status_code == 200
        # counts and nonces travel together: once there is less left there, it is known there

        async def remaining():
            return int((await there.get("/v1/users/me")).headers["x-ratelimit-remaining"])

        asked = iter(range(1, 900))
        await eventually(remaining, lambda found: found < left - next(asked))
        again = httpx.Request("GET", f"{there.base_url}/v1/users/me", headers=request.headers)
        answer = await there.send(again, auth=None)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_replayed")


async def test_the_limit_holds_for_both_together_once_they_have_heard(stack, other, admin):
    limit = 20
    _, key, secret = await create_user(admin, limit=limit)
    async with both(stack, other, key, secret) as (here, there):
        accepted = limit - await known(there, limit)
        for _ in range(8):
            assert (await status(here))[0] == 200
        accepted += 8

        # every question is a request itself, so what is left there falls by one for each
        async def drained():
            answer = await there.get("/v1/users/me")
            return answer.status_code, answer.headers["x-ratelimit-remaining"]

        while (await drained())[0] == 200:
            accepted += 1
        assert limit <= accepted <= limit + 8  # at most what was not heard of yet
        assert (await status(there))[0] == 429
        await eventually(lambda: status(here), lambda found: found[0] == 429)


async def test_never_more_than_the_stated_bound_gets_in_however_fast_they_ask(
    stack, other, admin, database
):
    limit = 60
    _, key, secret = await create_user(admin, limit=limit)
    async with both(stack, other, key, secret) as (here, there):
        before = limit - await known(there, limit)

        async def hammer(client):
            found = [(await status(client))[0] for _ in range(limit)]
            return found.count(200)

        mine, theirs = await asyncio.gather(hammer(here), hammer(there))
        accepted = before + mine + theirs
        # what one accepted and the other had not heard of is at most what one of them accepted
        assert limit <= accepted <= limit + min(mine, before + theirs)
        await eventually(lambda: database.fetchval(SAVED, key), lambda total: total == accepted)
        events = await asyncpg.connect(stack.databases.as_admin(stack.urls["users"]))
        try:
            await eventually(lambda: events.fetchval(EVENTS, key), lambda told: told == 1)
        finally:
            await events.close()


async def test_a_gateway_that_was_killed_still_counts_what_it_had_accepted(
    stack, other, admin, database
):
    limit = 10
    _, key, secret = await create_user(admin, limit=limit)
    async with both(stack, other, key, secret) as (_, there):
        used = limit - await known(there, limit)
        for _ in range(4):
            assert (await status(there))[0] == 200
        used += 4
        await eventually(lambda: database.fetchval(SAVED, key), lambda total: total == used)
        await other.kill()
        await other.start()
        assert await known(there, limit) <= limit - used - 1
        shown = (await admin.get(f"/v1/keypairs/{key}")).json()
        assert shown["last_used_at"] is not None
