"""`/v1/keypairs`: issue, change, switch, reveal and delete, and who may do it."""

import httpx
import pytest
import pytest_asyncio

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import ADMIN, PASSWORD, Signature


def code(answer):
    return answer.status_code, answer.json()["code"]


async def create_user(admin, **more):
    name = f"k{new_id()[-12:]}"
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD, **more}
    answer = await admin.post("/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def issue(client, user_id, **more):
    answer = await client.post("/v1/keypairs", json={"user_id": user_id, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def domain_admin(stack, admin):
    """An administrator of the domain `default`: sees its keypairs, may touch only the own ones."""
    made = await create_user(admin, role="admin")
    return stack.signed(made["main_access_key"], made["secret_key"])


async def test_a_new_keypair_is_shown_once_with_its_secret_and_signs_at_once(stack, person):
    made, client = person
    first = (await client.get(f"/v1/keypairs/{made['main_access_key']}")).json()
    issued = await issue(client, made["id"])
    assert issued["secret_key"]
    shown = (await client.get(f"/v1/keypairs/{issued['access_key']}")).json()
    assert "secret_key" not in shown
    assert (shown["is_main"], shown["status"]) == (False, "active")
    for name in ("resource_policy", "rate_limit", "user_id", "domain"):
        assert shown[name] == first[name]
    signing = stack.signed(issued["access_key"], issued["secret_key"])
    me = (await signing.get("/v1/auth/me")).json()
    assert me["access_key"] == issued["access_key"]
    assert {item["access_key"] for item in (await client.get("/v1/keypairs")).json()["items"]} == {
        made["main_access_key"],
        issued["access_key"],
    }


async def test_only_a_superadmin_chooses_policy_and_rate_limit(admin, person):
    made, client = person
    for choice in ({"rate_limit": 10}, {"resource_policy": "default"}, {"rate_limit": None}):
        answer = await client.post("/v1/keypairs", json={"user_id": made["id"], **choice})
        assert code(answer) == (403, "forbidden")
        assert [error["field"] for error in answer.json()["errors"]] == list(choice)
    issued = await issue(admin, made["id"], rate_limit=None, resource_policy="default")
    assert issued["rate_limit"] is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "user_id"),
        ({"user_id": 5}, 400, "user_id"),
        ({"rate_limit": -1}, 422, "rate_limit"),
        ({"rate_limit": 1_000_001}, 422, "rate_limit"),
        ({"resource_policy": "none-such"}, 422, "resource_policy"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
async def test_a_wrong_wish_names_its_field(admin, person, body, status, field):
    made, _ = person
    wish = body if field == "user_id" else {"user_id": made["id"], **body}
    answer = await admin.post("/v1/keypairs", json=wish)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_keypair_s_life(stack, admin, person):
    made, client = person
    issued = await issue(client, made["id"])
    key, address = issued["access_key"], f"/v1/keypairs/{issued['access_key']}"
    signing = stack.signed(key, issued["secret_key"])
    assert (await signing.get("/v1/auth/me")).status_code == 200
    assert code(await client.delete(address)) == (409, "keypair_active")
    assert (await client.post(f"{address}/deactivate")).json()["status"] == "inactive"
    assert code(await signing.get("/v1/auth/me")) == (401, "keypair_inactive")
    assert code(await client.post(f"{address}/make-main")) == (403, "keypair_inactive")
    assert (await client.post(f"{address}/deactivate")).status_code == 200  # and nothing happens
    assert (await client.post(f"{address}/activate")).json()["status"] == "active"
    assert (await signing.get("/v1/auth/me")).status_code == 200
    main = (await client.post(f"{address}/make-main")).json()
    assert main["is_main"] is True
    old = (await client.get(f"/v1/keypairs/{made['main_access_key']}")).json()
    assert old["is_main"] is False
    assert (await client.get("/v1/users/me")).json()["main_access_key"] == key
    assert code(await client.delete(address)) == (403, "keypair_main")
    gone = f"/v1/keypairs/{made['main_access_key']}"
    assert (await admin.patch(gone, json={"status": "inactive"})).json()["status"] == "inactive"
    assert (await admin.delete(gone)).status_code == 204
    assert code(await admin.get(gone)) == (404, "keypair_not_found")
    assert code(await client.get("/v1/auth/me")) == (401, "signature_invalid")


async def test_the_owner_and_the_superadmin_see_the_secret_again_and_nobody_else(
    stack, admin, person, domain_admin
):
    made, client = person
    address = f"/v1/keypairs/{made['main_access_key']}/reveal"
    for viewer in (client, admin):
        answer = await viewer.post(address)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {
            "access_key": made["main_access_key"],
            "secret_key": made["secret_key"],
        }
        assert answer.headers["cache-control"] == "no-store"
    assert code(await domain_admin.post(address)) == (403, "forbidden")
    assert made["secret_key"] not in stack.services["gateway"].output
    assert made["secret_key"] not in stack.services["users"].output


ACTIONS = [
    ("post", "/activate", None),
    ("post", "/deactivate", None),
    ("post", "/make-main", None),
    ("post", "/reveal", None),
    ("delete", "", None),
    ("patch", "", {"rate_limit": 5}),
]


@pytest.mark.parametrize(("method", "suffix", "body"), ACTIONS)
async def test_what_one_does_not_see_is_404_and_what_one_sees_but_may_not_change_403(
    admin, person, domain_admin, method, suffix, body
):
    _, client = person
    foreign = f"/v1/keypairs/{ADMIN['access_key']}{suffix}"
    before = (await admin.get(f"/v1/keypairs/{ADMIN['access_key']}")).json()
    hidden = await client.request(method, foreign, json=body)
    # a plain user has no business with patches at all, whosever keypair it is
    assert hidden.status_code == (403 if method == "patch" else 404)
    assert (await domain_admin.request(method, foreign, json=body)).status_code == 403
    nothing = await admin.request(method, f"/v1/keypairs/AKIANONE{suffix}", json=body)
    assert code(nothing) == (404, "keypair_not_found")
    after = (await admin.get(f"/v1/keypairs/{ADMIN['access_key']}")).json()
    volatile = {"last_used_at", "requests_in_window"}
    assert {k: v for k, v in before.items() if k not in volatile} == {
        k: v for k, v in after.items() if k not in volatile
    }


async def test_a_keypair_for_somebody_else_is_not_to_be_had(admin, person, domain_admin):
    made, client = person
    root = (await admin.get(f"/v1/users?email={ADMIN['email']}")).json()["items"][0]["id"]
    assert code(await client.post("/v1/keypairs", json={"user_id": root})) == (
        404,
        "user_not_found",
    )
    answer = await domain_admin.post("/v1/keypairs", json={"user_id": made["id"]})
    assert code(answer) == (403, "forbidden")
    nobody = await admin.post("/v1/keypairs", json={"user_id": new_id()})
    assert code(nobody) == (404, "user_not_found")


async def test_a_repeated_creation_gives_the_same_keypair(admin, person):
    made, client = person
    headers = {"Idempotency-Key": new_id()}
    answers = [
        await client.post("/v1/keypairs", json={"user_id": made["id"]}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert (await client.get("/v1/keypairs")).json()["total"] == 2


async def test_a_changed_limit_holds_for_the_next_request_and_zero_refuses_all(admin, person):
    made, client = person
    address = f"/v1/keypairs/{made['main_access_key']}"
    answer = await admin.patch(address, json={"rate_limit": 2})
    assert answer.json()["rate_limit"] == 2
    first, second, third = [await client.get("/v1/users/me") for _ in range(3)]
    assert (first.headers["x-ratelimit-remaining"], second.status_code) == ("1", 200)
    assert code(third) == (429, "rate_limited")
    assert third.headers["x-ratelimit-limit"] == "2"
    assert third.headers["x-ratelimit-remaining"] == "0"
    assert third.headers["x-ratelimit-window"] == "900"
    assert 1 <= int(third.headers["retry-after"]) <= 900
    used = (await admin.get(address)).json()
    assert used["requests_in_window"] == 2
    assert (await admin.patch(address, json={"rate_limit": None})).json()["rate_limit"] is None
    assert (await client.get("/v1/users/me")).status_code == 200
    await admin.patch(address, json={"rate_limit": 0})
    assert code(await client.get("/v1/users/me")) == (429, "rate_limited")


async def test_the_keys_of_a_user_who_is_deactivated_are_refused_and_work_again_after(
    stack, admin, person
):
    made, client = person
    token = await stack.logged_in(made["email"], PASSWORD)
    async with client.stream("GET", "/live?topics=users", timeout=60) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        answer = await admin.post(f"/v1/users/{made['id']}/deactivate")
        assert answer.status_code == 200, answer.text
        assert [line async for line in lines][-1:] in ([], [""])  # the stream has ended
    assert code(await client.get("/v1/users/me")) == (401, "user_inactive")
    assert code(await token.get("/v1/users/me")) == (401, "token_invalid")
    keypair = (await admin.get(f"/v1/keypairs/{made['main_access_key']}")).json()
    assert keypair["status"] == "active"
    assert (await admin.post(f"/v1/users/{made['id']}/activate")).status_code == 200
    assert (await client.get("/v1/users/me")).status_code == 200


async def test_an_open_stream_ends_with_the_keypair_that_opened_it(person):
    made, client = person
    issued = await issue(client, made["id"])
    other = httpx.AsyncClient(
        base_url=client.base_url, auth=Signature(issued["access_key"], issued["secret_key"])
    )
    async with other, other.stream("GET", "/live?topics=users", timeout=60) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        address = f"/v1/keypairs/{issued['access_key']}/deactivate"
        assert (await client.post(address)).status_code == 200
        assert [line async for line in lines][-1:] in ([], [""])
