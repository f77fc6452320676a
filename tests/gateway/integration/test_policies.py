"""Keypair, user and project policies through HTTP."""

import pytest

from shared.kernel.clock import render_time
from tests.gateway.integration.people import made, project, refused, signing, unique
from tests.gateway.integration.stories import START

GIB = 2**30
KINDS = ("keypair", "user", "project")
OF_ALL = {"max_folder_count": 5, "max_quota_scope_size": GIB}
GIVEN = {
    "keypair": {
        "default_for_unspecified": "limited",
        "total_resource_slots": {"cpu": 2, "mem": "4g", "cuda.shares": "0.5"},
        "max_session_lifetime": 3600,
        "lifetime_base": "created",
        "max_concurrent_sessions": 3,
        "max_pending_session_count": 4,
        "max_pending_session_resource_slots": {"cpu": None},
        "max_concurrent_sftp_sessions": 1,
        "max_containers_per_session": 2,
        "idle_timeout": 0,
        "allowed_hosts": {"local": ["mount-in-session"]},
        "max_priority": 10,
        "is_default": False,
    },
    "user": {**OF_ALL, "max_session_count_per_model_session": 0, "max_customized_image_count": 2},
    "project": {**OF_ALL, "max_network_count": 3},
}
SHOWN = {
    "total_resource_slots": {"cpu": "2", "cuda.shares": "0.5", "mem": str(4 * GIB)},
}


async def policy(admin, kind, **more):
    """Create a policy and return it."""
    answer = await admin.post(f"/v1/{kind}-policies", json={"name": unique(kind), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def read_only(created):
    return {name: value for name, value in created.items() if name != "warnings"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_is_shown_as_it_was_made(admin, kind):
    created = await policy(admin, kind, **GIVEN[kind])
    assert {name: created[name] for name in GIVEN[kind]} == {
        **GIVEN[kind],
        **{name: shown for name, shown in SHOWN.items() if name in GIVEN[kind]},
    }
    path = f"/v1/{kind}-policies"
    shown = await admin.get(f"{path}/{created['name']}")
    assert shown.json() == read_only(created)
    listed = await admin.get(path, params={"name": created["name"]})
    assert listed.json()["items"] == [read_only(created)]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_absent_is_unlimited(admin, kind):
    created = await policy(admin, kind)
    limits = {name for name in created if name.startswith("max_") and "slots" not in name}
    assert {created[name] for name in limits} == {None}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_patch_changes_what_it_names_and_null_is_unlimited(admin, kind):
    created = await policy(admin, kind, **GIVEN[kind])
    path = f"/v1/{kind}-policies/{created['name']}"
    field = "idle_timeout" if kind == "keypair" else "max_folder_count"
    answer = await admin.patch(path, json={field: None})
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed.pop("modified_at") > created.pop("modified_at")
    assert changed == {**created, field: None}
    zero = await admin.patch(path, json={field: 0})
    assert zero.json()[field] == 0
    assert (await admin.get(path)).json() == read_only(zero.json())


async def test_slots_are_merged_and_a_null_slot_is_unlimited_also_where_absent_is_not(admin):
    created = await policy(admin, "keypair", **GIVEN["keypair"])
    path = f"/v1/keypair-policies/{created['name']}"
    patch = {
        "total_resource_slots": {"cpu": None, "mem": "1g"},
        "allowed_hosts": {"local": None, "nas": ["upload-file"]},
    }
    changed = (await admin.patch(path, json=patch)).json()
    slots = {"cpu": None, "cuda.shares": "0.5", "mem": str(GIB)}
    assert changed["total_resource_slots"] == slots
    assert changed["allowed_hosts"] == {"nas": ["upload-file"]}
    emptied = (await admin.patch(path, json={"total_resource_slots": None})).json()
    assert emptied["total_resource_slots"] == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_wrong_is_named_and_nothing_changes(admin, kind):
    created = read_only(await policy(admin, kind))
    path = f"/v1/{kind}-policies"
    found = refused(await admin.post(path, json={"name": created["name"]}), 409, "policy_exists")
    patch = {"name": "x", "nonsense": 1, "id": "y"}
    found = refused(await admin.patch(f"{path}/{created['name']}", json=patch), 422)
    assert found == {"name": "read_only", "nonsense": "unknown_field", "id": "read_only"}
    field = "max_priority" if kind == "keypair" else "max_folder_count"
    found = refused(await admin.patch(f"{path}/{created['name']}", json={field: -1}), 422)
    assert set(found) == {field}
    refused(await admin.patch(f"{path}/{created['name']}", json={field: "many"}), 400)
    for name in ("", "a/b", " a", "x" * 300):
        found = refused(await admin.post(path, json={"name": name}), 422)
        assert set(found) == {"name"}
    assert (await admin.get(f"{path}/{created['name']}")).json() == created
    refused(await admin.patch(f"{path}/none", json={field: 1}), 404, f"{kind}_policy_not_found")
    refused(await admin.delete(f"{path}/none"), 404, f"{kind}_policy_not_found")


async def test_each_wrong_slot_of_a_keypair_policy_is_named(admin):
    body = {
        "name": unique("p"),
        "total_resource_slots": {"cpu": "many"},
        "max_pending_session_resource_slots": {"mem": "1x"},
    }
    found = refused(await admin.post("/v1/keypair-policies", json=body), 422)
    assert set(found) <= {"total_resource_slots.cpu", "max_pending_session_resource_slots.mem"}
    wrong = {"name": body["name"], "total_resource_slots": {"cuda.device": "0.5"}}
    found = refused(await admin.post("/v1/keypair-policies", json=wrong), 422, "whole_devices")
    assert set(found) == {"total_resource_slots.cuda.device"}
    above = {"name": body["name"], "total_resource_slots": {"cpu": 513}}
    found = refused(await admin.post("/v1/keypair-policies", json=above), 422, "above_maximum")
    assert set(found) == {"total_resource_slots.cpu"}
    refused(await admin.get(f"/v1/keypair-policies/{body['name']}"), 404)


async def test_there_is_always_one_default_keypair_policy(admin):
    before = (await admin.get("/v1/keypair-policies?is_default=true")).json()["items"]
    assert [item["name"] for item in before] == ["default"]
    created = await policy(admin, "keypair", is_default=True)
    path = f"/v1/keypair-policies/{created['name']}"
    try:
        found = (await admin.get("/v1/keypair-policies?is_default=true")).json()["items"]
        assert found == [read_only(created)]
        refused(await admin.patch(path, json={"is_default": False}), 409, "default_needed")
        refused(await admin.delete(path), 409, "default_policy")
        told = (await admin.get(f"{path}/references")).json()
        assert (told["deletable"], told["reason"]["code"]) == (False, "default_policy")
    finally:
        back = await admin.patch("/v1/keypair-policies/default", json={"is_default": True})
        assert back.status_code == 200, back.text
    assert (await admin.delete(path)).status_code == 204


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_that_nothing_uses_goes_and_its_name_can_be_given_again(admin, kind):
    created = await policy(admin, kind, **GIVEN[kind])
    path = f"/v1/{kind}-policies/{created['name']}"
    told = (await admin.get(f"{path}/references")).json()
    assert told == {
        "items": [],
        "total": 0,
        "next_cursor": None,
        "deletable": True,
        "reason": None,
    }
    gone = await admin.delete(path)
    assert (gone.status_code, gone.content) == (204, b""), gone.text
    refused(await admin.get(path), 404, f"{kind}_policy_not_found")
    refused(await admin.get(f"{path}/references"), 404)
    at = created["created_at"]
    assert (await admin.get(path, params={"at": at})).json() == read_only(created)
    events = (await admin.get(f"{path}/timeline")).json()["items"]
    assert [event["changes"]["deleted"] for event in events[:1]] == [{"from": None, "to": True}]
    again = await admin.post(f"/v1/{kind}-policies", json={"name": created["name"]})
    assert again.status_code == 201, again.text
    assert again.json()["created_at"] > created["created_at"]
    assert (await admin.get(path, params={"at": at})).json() == read_only(created)
    assert (await admin.get(path)).json() == read_only(again.json())


async def used(admin, kind, name):
    """Let something inactive use a policy; return how it is told, and what lets it go."""
    if kind == "project":
        made_of_it = await project(admin, resource_policy=name, is_active=False)
        path = f"/v1/projects/{made_of_it['id']}"
        told = {"id": made_of_it["id"], "name": made_of_it["name"], "owner": None}
    else:
        user = await made(admin, **({"resource_policy": name} if kind == "user" else {}))
        await admin.post(f"/v1/users/{user['id']}/deactivate")
        path = f"/v1/users/{user['id']}"
        told = {"id": user["id"], "name": user["email"], "owner": None}
    if kind == "keypair":
        body = {"user_id": user["id"], "resource_policy": name}
        keypair = (await admin.post("/v1/keypairs", json=body)).json()
        key = keypair["access_key"]
        path = f"/v1/keypairs/{key}"
        await admin.post(f"{path}/deactivate")
        told = {"id": key, "name": key, "owner": {"id": user["id"], "email": user["email"]}}
    return {"type": kind, "status": "inactive", **told}, path


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_that_is_used_stays_and_says_by_what(admin, kind):
    created = await policy(admin, kind)
    path = f"/v1/{kind}-policies/{created['name']}"
    reference, user_of_it = await used(admin, kind, created["name"])
    told = (await admin.get(f"{path}/references")).json()
    assert told["items"] == [reference]
    assert (told["total"], told["deletable"]) == (1, False)
    assert told["reason"]["code"] == "policy_in_use"
    answer = await admin.delete(path)
    refused(answer, 409, "policy_in_use")
    assert answer.json()["count"] == 1
    assert answer.json()["references"] == [{"type": kind, "id": reference["id"]}]
    moved = await admin.patch(user_of_it, json={"resource_policy": "default"})
    assert moved.status_code == 200, moved.text
    assert (await admin.get(f"{path}/references")).json()["deletable"] is True
    assert (await admin.delete(path)).status_code == 204
    refused(await admin.patch(user_of_it, json={"resource_policy": created["name"]}), 422)


@pytest.mark.parametrize("kind", ["keypair", "user"])
async def test_what_the_erased_had_keeps_no_policy(admin, kind):
    created = await policy(admin, kind)
    path = f"/v1/{kind}-policies/{created['name']}"
    reference, _ = await used(admin, kind, created["name"])
    user_id = reference["owner"]["id"] if kind == "keypair" else reference["id"]
    await admin.post(f"/v1/users/{user_id}/deactivate")
    assert (await admin.post(f"/v1/users/{user_id}/erase")).is_success
    told = (await admin.get(f"{path}/references")).json()
    assert (told["items"], told["total"], told["deletable"]) == ([], 0, True)
    assert (await admin.delete(path)).status_code == 204


async def test_references_are_a_list_like_any_other(admin):
    created = await policy(admin, "project")
    path = f"/v1/project-policies/{created['name']}/references"
    names = sorted([(await project(admin, resource_policy=created["name"]))["name"] for _ in "123"])
    page = (await admin.get(f"{path}?sort=-name&limit=2")).json()
    assert [item["name"] for item in page["items"]] == [names[2], names[1]]
    assert page["total"] == 3
    rest = await admin.get(path, params={"sort": "-name", "cursor": page["next_cursor"]})
    assert [item["name"] for item in rest.json()["items"]] == [names[0]]
    none = (await admin.get(f"{path}?is_active=false")).json()
    assert (none["total"], none["deletable"]) == (0, False)
    refused(await admin.get(f"{path}?resource_policy=default"), 400)


async def test_limits_beyond_the_cluster_are_warned_of_and_hold(admin, agent):
    wanted = {"cpu": 500, "mem": "1g", "cuda.device": 1, "cuda.shares": None}
    created = await policy(admin, "keypair", total_resource_slots=wanted)
    told = {item["slot"]: (item["limit"], item["cluster"]) for item in created["warnings"]}
    assert told.keys() == {"cpu", "cuda.device"}
    assert told["cuda.device"] == ("1", "0")
    assert told["cpu"][0] == "500"
    path = f"/v1/keypair-policies/{created['name']}"
    changed = (await admin.patch(path, json={"total_resource_slots": {"cpu": 1}})).json()
    assert [item["slot"] for item in changed["warnings"]] == ["cuda.device"]
    assert (await policy(admin, "user", max_folder_count=100))["warnings"] == []


async def test_the_same_key_makes_and_deletes_one_policy(admin):
    name, headers = unique("p"), {"Idempotency-Key": unique("k")}
    body = {"name": name}
    first = await admin.post("/v1/user-policies", json=body, headers=headers)
    again = await admin.post("/v1/user-policies", json=body, headers=headers)
    assert (first.status_code, first.content) == (201, again.content)
    headers = {"Idempotency-Key": unique("k")}
    for _ in range(2):
        gone = await admin.delete(f"/v1/user-policies/{name}", headers=headers)
        assert gone.status_code == 204, gone.text


async def test_a_user_sees_the_policy_of_the_own_keypair_and_changes_none(stack, admin):
    _, client = await signing(stack, admin)
    mine = await client.get("/v1/keypair-policies")
    assert [item["name"] for item in mine.json()["items"]] == ["default"]
    refused(await client.patch("/v1/keypair-policies/default", json={"idle_timeout": 1}), 403)
    refused(await client.get("/v1/keypair-policies/default/references"), 403)
    refused(await client.post("/v1/keypair-policies", json={"name": unique("p")}), 403)


async def test_a_policy_is_shown_as_it_was_at_a_moment(admin):
    created = await policy(admin, "user", max_folder_count=1)
    path = f"/v1/user-policies/{created['name']}"
    changed = (await admin.patch(path, json={"max_folder_count": 2})).json()
    for shown in (created, changed):
        found = await admin.get(path, params={"at": shown["modified_at"]})
        assert found.json() == read_only(shown)
    refused(await admin.get(path, params={"at": render_time(START)}), 404)
    listed = await admin.get(
        "/v1/user-policies", params={"at": created["created_at"], "name": created["name"]}
    )
    assert listed.json()["items"] == [read_only(created)]
