"""Users changed, kept out, let in again and erased, through HTTP."""

import asyncio

import pytest

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import PASSWORD
from tests.gateway.integration.people import domain, made, project, refused, signing, unique


async def test_a_user_is_shown_as_changed_at_once(admin):
    user, joined = await made(admin), await project(admin)
    path = f"/v1/users/{user['id']}"
    patch = {
        "username": unique(),
        "full_name": "Kim",
        "description": "of the lab",
        "role": "monitor",
        "projects": [joined["id"]],
        "password_change_required": True,
        "sudo_session_enabled": True,
    }
    answer = await admin.patch(path, json=patch)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    stores = set(shown["projects"]) - {joined["id"]}
    assert joined["id"] in shown["projects"]
    for store in stores:  # those are never left
        assert (await admin.get(f"/v1/projects/{store}")).json()["type"] == "model-store"
    assert {name: shown[name] for name in patch if name != "projects"} == {
        name: value for name, value in patch.items() if name != "projects"
    }
    assert (await admin.get(path)).json() == shown
    assert (await admin.get(f"/v1/users?username={patch['username']}")).json()["items"] == [shown]


async def test_null_empties_a_text_and_is_refused_where_something_must_be(admin):
    user = await made(admin, full_name="Kim", description="x")
    path = f"/v1/users/{user['id']}"
    answer = await admin.patch(path, json={"full_name": None, "description": None})
    assert (answer.json()["full_name"], answer.json()["description"]) == ("", "")
    found = refused(await admin.patch(path, json={"username": None, "role": None}), 422)
    assert found == {"username": "required", "role": "required"}


async def test_each_field_that_is_fixed_or_unknown_is_named_and_nothing_changes(admin):
    user = await made(admin)
    path = f"/v1/users/{user['id']}"
    patch = {"email": "x@example.org", "id": "x", "domain": "x", "shoe_size": 4, "full_name": "X"}
    assert refused(await admin.patch(path, json=patch), 422) == {
        "email": "read_only",
        "id": "read_only",
        "domain": "read_only",
        "shoe_size": "unknown_field",
    }
    assert (await admin.get(path)).json()["full_name"] == user["full_name"]
    refused(await admin.patch(path, json={"totp_enabled": True}), 422)
    assert "projects" in str(refused(await admin.patch(path, json={"projects": [new_id()]}), 422))
    refused(await admin.patch(f"/v1/users/{new_id()}", json={"full_name": "x"}), 404)


async def test_a_user_name_that_is_taken_is_a_conflict_and_a_left_one_is_free(admin):
    first, second = await made(admin), await made(admin)
    path = f"/v1/users/{second['id']}"
    answer = await admin.patch(path, json={"username": first["username"].upper()})
    refused(answer, 409, "username_taken")
    assert (await admin.patch(path, json={"username": unique()})).status_code == 200
    path = f"/v1/users/{first['id']}"
    assert (await admin.patch(path, json={"username": second["username"]})).status_code == 200


async def test_an_empty_patch_changes_nothing(admin):
    user = await made(admin)
    path = f"/v1/users/{user['id']}"
    before = (await admin.get(path)).json()
    answer = await admin.patch(path, json={})
    assert (answer.status_code, answer.json()) == (200, before)


async def test_whoever_is_deactivated_is_refused_at_once_and_let_in_as_before(stack, admin):
    user, client = await signing(stack, admin)
    token = await stack.logged_in(user["email"], PASSWORD)
    assert (await client.get("/v1/users/me")).status_code == 200
    answer = await admin.post(f"/v1/users/{user['id']}/deactivate")
    assert (answer.status_code, answer.json()["status"]) == (200, "inactive")
    refused(await client.get("/v1/users/me"), 401)
    refused(await token.get("/v1/users/me"), 401)
    login = {"email": user["email"], "password": PASSWORD}
    refused(await stack.client().post("/v1/auth/login", json=login), 401, "invalid_credentials")
    keypair = (await admin.get(f"/v1/keypairs/{user['main_access_key']}")).json()
    assert keypair["status"] == "active"
    answer = await admin.post(f"/v1/users/{user['id']}/activate", json={})
    assert answer.json()["status"] == "active"
    assert (await client.get("/v1/users/me")).status_code == 200
    assert (await stack.client().post("/v1/auth/login", json=login)).status_code == 200


async def test_nobody_locks_themselves_out(admin):
    root = (await admin.get("/v1/users/me")).json()
    path = f"/v1/users/{root['id']}"
    refused(await admin.post(f"{path}/deactivate"), 403, "own_account")
    refused(await admin.patch(path, json={"role": "user"}), 403, "own_account")
    refused(await admin.post(f"{path}/erase"), 403, "own_account")
    assert (await admin.get("/v1/users/me")).json() == root


async def test_a_request_without_a_body_takes_none(admin):
    user = await made(admin)
    answer = await admin.post(f"/v1/users/{user['id']}/deactivate", json={"force": True})
    refused(answer, 400)
    assert (await admin.get(f"/v1/users/{user['id']}")).json()["status"] == "active"


async def test_an_administrator_sees_and_ends_the_log_in_sessions_of_a_user(stack, admin):
    user = await made(admin)
    token = await stack.logged_in(user["email"], PASSWORD)
    path = f"/v1/users/{user['id']}/sessions"
    page = (await admin.get(path)).json()
    assert page["total"] == 1
    assert page["items"][0]["user_id"] == user["id"]
    assert "token" not in str(page)
    other = await made(admin)
    login_id = page["items"][0]["id"]
    refused(await admin.delete(f"/v1/users/{other['id']}/sessions/{login_id}"), 404)
    assert (await admin.delete(f"{path}/{login_id}")).status_code == 204
    refused(await token.get("/v1/users/me"), 401)
    assert (await admin.get(f"{path}?is_over=false")).json()["total"] == 0
    refused(await admin.get(f"/v1/users/{new_id()}/sessions"), 404)


async def test_a_new_password_from_an_administrator_ends_every_log_in(stack, admin):
    user = await made(admin)
    token = await stack.logged_in(user["email"], PASSWORD)
    answer = await admin.patch(f"/v1/users/{user['id']}", json={"password": "other-Passw0rd"})
    assert answer.status_code == 200, answer.text
    assert "password" not in {*answer.json()} - {"password_change_required"}
    refused(await token.get("/v1/users/me"), 401)
    await stack.logged_in(user["email"], "other-Passw0rd")
    found = refused(await admin.patch(f"/v1/users/{user['id']}", json={"password": "short"}), 422)
    assert set(found) == {"password"}


async def test_only_a_deactivated_person_is_erased_and_then_nothing_is_left(stack, admin):
    user = await made(admin, full_name="Kim Unforgotten", description="of the lab")
    path = f"/v1/users/{user['id']}"
    refused(await admin.post(f"{path}/erase"), 409, "user_active")
    await admin.post(f"{path}/deactivate")
    answer = await admin.post(f"{path}/erase")
    assert answer.status_code == 200, answer.text
    gone = answer.json()
    assert gone["erased"] is True
    assert [gone[name] for name in ("email", "username", "full_name", "description")] == [None] * 4
    assert (await admin.get(path)).json() == gone
    assert (await admin.get(f"/v1/users?email={user['email']}")).json()["total"] == 0
    assert (await admin.get("/v1/users?full_name=Unforgotten")).json()["total"] == 0
    refused(await admin.post(f"{path}/activate"), 409, "user_erased")
    again = {"email": user["email"], "username": user["username"], "password": PASSWORD}
    assert (await admin.post("/v1/users", json=again)).status_code == 201


@pytest.mark.parametrize("role", ["admin", "user", "monitor"])
async def test_only_the_superadmin_changes_users(stack, admin, role):
    user, client = await signing(stack, admin, role=role)
    path = f"/v1/users/{user['id']}"
    for answer in await asyncio.gather(
        client.patch(path, json={"full_name": "x"}),
        client.post(f"{path}/activate"),
        client.post(f"{path}/deactivate"),
        client.post(f"{path}/erase"),
        client.get(f"{path}/sessions"),
        client.delete(f"{path}/sessions/x"),
    ):
        refused(answer, 403, "forbidden")


async def test_an_inactive_domain_takes_no_new_users(admin):
    lab = await domain(admin)
    await admin.patch(f"/v1/domains/{lab['name']}", json={"is_active": False})
    name = unique()
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    answer = await admin.post("/v1/users", json={**body, "domain": lab["name"], "projects": []})
    assert answer.status_code == 422, answer.text
    assert "domain_inactive" in answer.text


async def test_the_same_key_gives_the_same_answer_to_a_change(admin):
    user = await made(admin)
    path, headers = f"/v1/users/{user['id']}", {"Idempotency-Key": new_id()}
    first = await admin.patch(path, json={"full_name": "One"}, headers=headers)
    await admin.patch(path, json={"full_name": "Two"})
    again = await admin.patch(path, json={"full_name": "One"}, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert (await admin.get(path)).json()["full_name"] == "Two"
    other = await admin.patch(path, json={"full_name": "Three"}, headers=headers)
    refused(other, 422, "idempotency_mismatch")
