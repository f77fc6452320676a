"""What one may use, what is used and left of it, and which limit is met first."""

import pytest
import pytest_asyncio

from tests.gateway.integration.harness import IMAGE, eventually
from tests.gateway.integration.people import domain, made, project, refused, signing, unique

GIB = 2**30
SMALL = {"cpu": 1, "mem": "256m"}


async def policy(admin, **more):
    answer = await admin.post("/v1/keypair-policies", json={"name": unique("kp"), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["name"]


async def limits(client, user="me", **query):
    answer = await client.get(f"/v1/users/{user}/limits", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def scope(found, kind, key=None):
    """Return what one scope says: (field, slot) -> (limit, used, remaining)."""
    (one,) = [
        item for item in found["scopes"] if item["scope"] == kind and key in {None, item["id"]}
    ]
    return {
        (item["field"], item["slot"]): (item["limit"], item["used"], item["remaining"])
        for item in one["limits"]
    }


def bound(found):
    return {
        (item["field"], item["slot"]): (item["scope"], item["remaining"])
        for item in found["binding"]
    }


async def submitted(client, **more):
    body = {"name": unique("s"), "type": "batch", "image": IMAGE, "resources": SMALL, **more}
    answer = await client.post("/v1/sessions", json={**body, "command": ["true"]})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def placed(client, session):
    async def found():
        return (await client.get(f"/v1/sessions/{session['id']}")).json()

    return await eventually(found, lambda item: item["status"] != "PENDING")


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(stack, admin):
    """A limited user in a limited project of a limited domain, and a client of that user."""
    east = await domain(admin, total_resource_slots={"cpu": 3, "mem": "64g"})
    mine = await project(
        admin, east["name"], total_resource_slots={"cpu": 100, "cuda.shares": "0.5"}
    )
    user, client = await signing(stack, admin, domain=east["name"], projects=[mine["id"]])
    name = await policy(
        admin,
        total_resource_slots={"cpu": 2, "mem": None},
        max_concurrent_sessions=5,
        max_pending_session_count=7,
        max_containers_per_session=2,
    )
    changed = await admin.patch(
        f"/v1/keypairs/{user['main_access_key']}", json={"resource_policy": name}
    )
    assert changed.status_code == 200, changed.text
    return user, client, mine, east


async def test_every_scope_says_what_is_used_and_left_and_the_least_binds(
    stack, admin, agent, tenant
):
    user, client, mine, _ = tenant
    before = await limits(client)
    assert (before["access_key"], before["project"]) == (user["main_access_key"], mine["id"])
    assert scope(before, "keypair")["total_resource_slots", "cpu"] == ("2", "0", "2")
    session = await placed(client, await submitted(client))
    found = await limits(client)
    keypair = scope(found, "keypair")
    assert keypair["total_resource_slots", "cpu"] == ("2", "1", "1")
    assert keypair["total_resource_slots", "mem"] == (None, "268435456", None)
    assert keypair["max_concurrent_sessions", None] == (5, 1, 4)
    assert keypair["max_pending_session_count", None] == (7, 0, 7)
    assert keypair["max_containers_per_session", None] == (2, None, 2)
    assert scope(found, "user")["total_resource_slots", "cpu"] == (None, "1", None)
    assert scope(found, "user")["max_concurrent_sessions", None] == (None, 1, None)
    assert scope(found, "project")["total_resource_slots", "cpu"] == ("100", "1", "99")
    assert scope(found, "domain")["total_resource_slots", "cpu"] == ("3", "1", "2")
    binds = bound(found)
    assert binds["total_resource_slots", "cpu"] == ("keypair", "1")
    assert binds["total_resource_slots", "cuda.shares"] == ("project", "0.5")
    assert binds["total_resource_slots", "mem"] == ("domain", str(64 * GIB - 268435456))
    assert binds["max_concurrent_sessions", None] == ("keypair", 4)
    assert await limits(admin, user["id"]) == found
    await stack.end(session)
    await eventually(
        lambda: limits(client),
        lambda now: scope(now, "keypair")["total_resource_slots", "cpu"] == ("2", "0", "2"),
    )


async def test_what_waits_counts_for_the_limits_of_what_waits_only(admin, agent, tenant):
    _, client, *_ = tenant
    await admin.patch(f"/v1/agents/{agent}", json={"schedulable": False})
    try:
        session = await submitted(client, resources={"cpu": 2, "mem": "1g"})
        keypair = scope(await limits(client), "keypair")
        assert keypair["max_pending_session_count", None] == (7, 1, 6)
        assert keypair["max_concurrent_sessions", None] == (5, 0, 5)
        assert keypair["total_resource_slots", "cpu"] == ("2", "0", "2")
        assert (await client.delete(f"/v1/sessions/{session['id']}")).status_code == 204
        keypair = scope(await limits(client), "keypair")
        assert keypair["max_pending_session_count", None] == (7, 0, 7)
    finally:
        await admin.patch(f"/v1/agents/{agent}", json={"schedulable": True})


async def test_a_slot_that_a_limiting_policy_does_not_name_is_not_to_be_had(admin, tenant):
    user, client, *_ = tenant
    name = await policy(admin, total_resource_slots={"cpu": 2}, default_for_unspecified="limited")
    key = user["main_access_key"]
    await admin.patch(f"/v1/keypairs/{key}", json={"resource_policy": name})
    found = await limits(client)
    assert scope(found, "keypair")["total_resource_slots", "mem"] == ("0", "0", "0")
    assert bound(found)["total_resource_slots", "mem"] == ("keypair", "0")


async def test_another_keypair_and_project_bind_when_they_are_named(admin, tenant):
    user, client, _, east = tenant
    other = await project(admin, east["name"], total_resource_slots={"cpu": 1})
    await admin.put(f"/v1/projects/{other['id']}/members/{user['id']}", json={"role": "member"})
    second = (await admin.post("/v1/keypairs", json={"user_id": user["id"]})).json()
    name = await policy(admin, max_concurrent_sessions=1)
    key = second["access_key"]
    await admin.patch(f"/v1/keypairs/{key}", json={"resource_policy": name})
    found = await limits(client, access_key=key, project=other["name"])
    assert (found["access_key"], found["project"]) == (key, other["id"])
    assert bound(found)["total_resource_slots", "cpu"] == ("project", "1")
    assert bound(found)["max_concurrent_sessions", None] == ("keypair", 1)
    assert bound(await limits(client))["max_concurrent_sessions", None] == ("keypair", 5)


async def test_users_do_not_see_the_numbers_of_others_when_that_is_set(admin, tenant):
    user, client, *_ = tenant
    hidden = {"group_resource_visibility": False}
    assert (await admin.patch("/v1/settings", json=hidden)).status_code == 200
    try:
        found = await limits(client)
        shown = {item["scope"]: (item["visible"], item["limits"]) for item in found["scopes"]}
        assert shown["project"] == shown["domain"] == (False, [])
        assert shown["keypair"][0]
        assert {item["scope"] for item in found["binding"]} == {"keypair"}
        assert scope(await limits(admin, user["id"]), "domain")
    finally:
        assert (await admin.delete("/v1/settings/group_resource_visibility")).status_code == 204
    assert scope(await limits(client), "domain")


@pytest.mark.parametrize("query", [{"access_key": "AKIANOBODY"}, {"project": "nothing"}])
async def test_what_is_not_the_users_is_refused_with_its_name(tenant, query):
    _, client, *_ = tenant
    answer = await client.get("/v1/users/me/limits", params=query)
    assert refused(answer, 422) == dict.fromkeys(query, "unknown")


async def test_an_unknown_parameter_is_named(admin):
    answer = await admin.get("/v1/users/me/limits?at=2026-01-01T00:00:00Z")
    assert refused(answer, 400) == {"at": "unknown_parameter"}


async def test_the_limits_of_an_erased_person_say_nothing_of_the_person(admin):
    user = await made(admin)
    await admin.post(f"/v1/users/{user['id']}/deactivate")
    answer = await admin.post(f"/v1/users/{user['id']}/erase")
    assert answer.status_code in {200, 202, 204}, answer.text
    found = await limits(admin, user["id"])
    assert {item["scope"] for item in found["scopes"]} >= {"user", "domain"}
    assert user["email"] not in str(found)
