"""While something is away: reads go on, writes say so, nothing accepted is lost."""

import asyncio

import pytest

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import ADMIN, IMAGE, PASSWORD, eventually

pytestmark = pytest.mark.timeout(240)
SESSION = {
    "type": "batch",
    "image": IMAGE,
    "resources": {"cpu": "0.1", "mem": "16m"},
    "command": ["true"],
}
READS = ["/v1/users", "/v1/keypairs", "/v1/sessions", "/v1/agents", "/v1/images", "/v1/auth/me"]


def user(name):
    return {"email": f"{name}@example.org", "username": name, "password": PASSWORD}


def unique():
    return f"w{new_id()[-12:]}"


async def test_reads_and_signatures_go_on_while_services_are_away(stack, admin, agent, person):
    _, client = person
    for name in ("users", "scheduler"):
        await stack.services[name].stop()
    try:
        for path in READS:
            assert (await admin.get(path)).status_code == 200, path
        assert (await client.get("/v1/users/me")).status_code == 200
        signed = stack.signed()
        assert (await signed.get("/v1/users")).status_code == 200
        for path, body in (
            ("/v1/users", user(unique())),
            ("/v1/sessions", {**SESSION, "name": "x"}),
        ):
            answer = await admin.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "service_away")
            assert int(answer.headers["retry-after"]) >= 1
        login = await stack.client().post(
            "/v1/auth/login", json={"email": ADMIN["email"], "password": ADMIN["password"]}
        )
        assert login.status_code == 503
    finally:
        for name in ("users", "scheduler"):
            await stack.services[name].start()
    assert (await admin.post("/v1/users", json=user(unique()))).status_code == 201


async def test_a_gateway_that_is_killed_comes_back_with_everything(stack, agent):
    admin = await stack.logged_in()
    key, body = {"Idempotency-Key": new_id()}, user(unique())
    first = await admin.post("/v1/users", json=body, headers=key)
    token = admin.headers["Authorization"]
    await stack.services["gateway"].kill()
    await stack.services["gateway"].start()
    again = stack.client(headers={"Authorization": token})
    assert (await again.get("/v1/auth/me")).status_code == 200
    repeated = await again.post("/v1/users", json=body, headers=key)
    assert (repeated.status_code, repeated.content) == (201, first.content)
    signed = stack.signed(first.json()["main_access_key"], first.json()["secret_key"])

    async def me():
        return await signed.get("/v1/users/me")

    # what was signed in the second before the start is refused, so that nothing is replayed
    answer = await eventually(me, lambda found: found.status_code == 200)
    assert answer.json()["id"] == first.json()["id"]


async def test_a_stream_that_is_wiped_costs_the_read_models_nothing(stack, agent):
    admin = await stack.logged_in()
    newest = "/v1/users?limit=500&sort=-created_at"
    before = (await admin.get(newest)).json()
    await stack.nats_server.stop()
    stack.nats_server.wipe()
    assert (await admin.get(newest)).json() == before
    await stack.nats_server.start()

    async def create():
        return await admin.post("/v1/users", json=user(unique()))

    answer = await eventually(create, lambda found: found.status_code == 201, timeout_s=60)
    after = (await admin.get(newest)).json()
    shown = [item["id"] for item in after["items"]]
    new = after["total"] - before["total"]
    assert answer.json()["id"] in shown[:new]
    kept = [item["id"] for item in before["items"]]
    assert shown[new:] == kept[: len(shown) - new]


async def test_many_at_once_are_all_answered_and_reads_are_not_starved(stack, admin, agent):
    async def create():
        return await admin.post("/v1/users", json=user(unique()))

    async def read():
        return await admin.get("/v1/users?limit=20")

    answers = await asyncio.gather(*(create() for _ in range(40)), *(read() for _ in range(100)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses[:40]) <= {201, 202, 503}
    assert set(statuses[40:]) == {200}
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1


async def test_what_the_tables_show_is_the_fold_of_the_log(stack, admin, agent):
    """Rebuilt from nothing by another gateway, every document is the same."""
    import asyncpg

    from services.gateway.projections.people import USERS
    from services.gateway.projections.sessions import SESSIONS

    made = await admin.post("/v1/sessions", json={**SESSION, "name": "shown"})
    assert made.status_code == 201, made.text

    async def placed():
        return (await admin.get(f"/v1/sessions/{made.json()['id']}")).json()

    await stack.end(await eventually(placed, lambda found: found["status"] == "SCHEDULED"))
    await eventually(placed, lambda found: found["status"] == "TERMINATED")
    shown = await asyncpg.connect(stack.urls["gateway"])
    names = ("keypairs", "logins", "domains", "projects", "memberships")
    tables = {"users": USERS.name, "sessions": SESSIONS.name, **{n: n for n in names}}
    before = {
        name: dict(await shown.fetch(f"select id, doc from {table}"))
        for name, table in tables.items()
    }
    await stack.services["gateway"].stop()
    await shown.execute(
        "update projection_generations set version = version - 1 where state = 'live'"
    )
    await stack.services["gateway"].start()

    async def generations():
        return await shown.fetch(
            "select projection from projection_generations where state = 'live' and generation = 1"
        )

    await eventually(generations, lambda rows: not rows, timeout_s=60)
    after = {
        name: dict(await shown.fetch(f"select id, doc from {table}"))
        for name, table in tables.items()
    }
    await shown.close()
    assert before == after
    assert all(before.values())
    again = await stack.logged_in()
    assert (await again.get("/v1/users")).status_code == 200
