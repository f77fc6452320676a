"""Resource groups through HTTP: made, changed, seen, entered and deleted."""

import asyncio

import pytest

from services.gateway.projections.resource_groups import GUARDED
from shared.contracts.scheduler import ResourceGroupCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.kernel.ids import new_id
from shared.security.app_proxy import open_proxy_token
from tests.gateway.integration.harness import IMAGE, eventually
from tests.gateway.integration.people import domain, project, refused, signing, unique

GROUPS = "/v1/resource-groups"


def batch(**more):
    return {
        "name": f"s{new_id()[-12:]}",
        "type": "batch",
        "image": IMAGE,
        "resources": {"cpu": 1, "mem": "256m"},
        "command": ["true"],
        **more,
    }


async def group(admin, **more):
    answer = await admin.post(GROUPS, json={"name": unique("g"), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def patched(admin, name, **fields):
    answer = await admin.patch(f"{GROUPS}/{name}", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def seen(client):
    return {item["name"] for item in (await client.get(f"{GROUPS}?limit=500")).json()["items"]}


async def test_a_group_is_shown_as_it_was_made_and_changed(admin):
    created = await group(admin, description="A100s", pending_timeout=60, retries_to_skip=0)
    assert created["scheduler"] == "fifo"
    assert created["allowed_session_types"] == ["interactive", "batch", "inference"]
    assert (created["is_active"], created["is_public"], created["is_default"]) == (
        True,
        True,
        False,
    )
    assert (created["allowed_domains"], created["allowed_projects"]) == (None, [])
    path = f"{GROUPS}/{created['name']}"
    assert (await admin.get(path)).json() == created
    changed = await patched(
        admin,
        created["name"],
        scheduler="drf",
        description=None,
        retries_to_skip=None,
        allowed_session_types=["batch"],
        agent_selection_strategy="concentrated",
    )
    assert (changed["scheduler"], changed["description"]) == ("drf", "")
    assert (changed["retries_to_skip"], changed["pending_timeout"]) == (None, 60)
    assert (await admin.get(path)).json() == changed
    assert (await admin.get(f"{GROUPS}?id={created['name']}")).json()["items"] == [changed]
    before = (await admin.get(path, params={"at": created["modified_at"]})).json()
    assert before == created
    story = (await admin.get(f"{path}/timeline")).json()["items"]
    assert [event["type"] for event in story] == ["ResourceGroupChanged", "ResourceGroupCreated"]


async def test_what_is_wrong_with_a_group_is_named_and_nothing_changes(admin):
    name = unique("g")
    body = {"name": name, "pending_timeout": -1, "retries_to_skip": 2, "scheduler": "lifo"}
    found = refused(await admin.post(GROUPS, json=body), 422)
    assert found == {"pending_timeout": "out_of_range", "retries_to_skip": "only_fifo"}
    unknown = {"allowed_domains": ["nowhere"], "allowed_projects": ["x"], "allowed_keypairs": ["y"]}
    found = refused(await admin.post(GROUPS, json={"name": name, **unknown}), 422)
    assert found == {
        "allowed_domains": "unknown_domain",
        "allowed_projects": "unknown_project",
        "allowed_keypairs": "unknown_keypair",
    }
    for wrong in ({"scheduler": "random"}, {"allowed_session_types": ["system"]}, {"name": 1}):
        refused(await admin.post(GROUPS, json={"name": name, **wrong}), 400)
    assert (await admin.get(f"{GROUPS}/{name}")).status_code == 404
    created = await group(admin)
    refused(await admin.post(GROUPS, json={"name": created["name"]}), 409, "resource_group_exists")
    patch = {"name": "x", "scheduler": None, "nonsense": 1, "has_wsproxy_api_token": True}
    found = refused(await admin.patch(f"{GROUPS}/{created['name']}", json=patch), 422)
    assert found == {
        "name": "read_only",
        "scheduler": "required",
        "nonsense": "unknown_field",
        "has_wsproxy_api_token": "read_only",
    }
    assert (await admin.get(f"{GROUPS}/{created['name']}")).json() == created


async def test_the_token_of_an_app_proxy_is_kept_sealed_and_shown_to_nobody(stack, admin):
    token = unique("secret-token-")
    created = await group(admin, wsproxy_addr="http://proxy:5050/", wsproxy_api_token=token)
    assert created["wsproxy_addr"] == "http://proxy:5050"
    assert created["has_wsproxy_api_token"] is True
    path = f"{GROUPS}/{created['name']}"
    answers = [await admin.get(where) for where in (path, f"{path}/timeline", "/v1/events")]
    assert not any(token in answer.text for answer in answers)
    pool = await open_pool(stack.urls["scheduler"], name="test")
    try:
        log = EventLog(pool, codec_for("scheduler"))
        (event,) = (await log.load(f"resource-group-{created['name']}")).events
    finally:
        await pool.close()
    assert isinstance(event, ResourceGroupCreated)
    assert token not in str(event.wsproxy_api_token)
    assert event.wsproxy_api_token not in answers[1].text + answers[2].text
    assert open_proxy_token(stack.keyring, event.name, event.wsproxy_api_token) == token
    without = await patched(admin, created["name"], wsproxy_api_token=None, wsproxy_addr="")
    assert (without["has_wsproxy_api_token"], without["wsproxy_addr"]) == (False, None)
    long = {"wsproxy_api_token": "x" * 129}
    assert refused(await admin.patch(path, json=long), 422) == {"wsproxy_api_token": "token"}


async def test_users_see_the_groups_that_are_open_to_them_and_not_for_whom_else(stack, admin):
    east = await domain(admin)
    team = await project(admin, east["name"])
    user, client = await signing(stack, admin, domain=east["name"], projects=[team["id"]])
    _, stranger = await signing(stack, admin)
    by = {
        "domain": {"allowed_domains": [east["name"]]},
        "project": {"allowed_projects": [team["id"]]},
        "keypair": {"allowed_keypairs": [user["main_access_key"]]},
        "everybody": {},
        "private": {"is_public": False},
        "inactive": {"is_active": False},
        "nobody": {"allowed_domains": []},
    }
    names = {kind: (await group(admin, **fields))["name"] for kind, fields in by.items()}
    mine = {names[kind] for kind in ("domain", "project", "keypair", "everybody")}
    assert await seen(client) & set(names.values()) == mine
    assert await seen(stranger) & set(names.values()) == {names["everybody"]}
    assert await seen(admin) >= set(names.values())
    shown = (await client.get(f"{GROUPS}/{names['project']}")).json()
    assert not set(GUARDED) & set(shown)
    assert shown["allowed_session_types"] == ["interactive", "batch", "inference"]
    assert set((await admin.get(f"{GROUPS}/{names['project']}")).json()) >= set(GUARDED)
    assert (await stranger.get(f"{GROUPS}/{names['project']}")).status_code == 404
    assert (await client.get(f"{GROUPS}/{names['project']}/timeline")).status_code == 403
    member = f"/v1/projects/{team['id']}/members/{user['id']}"
    assert (await admin.delete(member)).status_code == 204
    assert names["project"] not in await seen(client)
    for name in names.values():
        await patched(admin, name, is_public=False)


async def test_a_session_enters_only_a_group_that_is_open_to_it(stack, admin, agent, person):
    _, client = person
    closed = await group(admin, allowed_domains=[])
    name = closed["name"]
    asked = batch(resource_group=name)
    refused(await client.post("/v1/sessions", json=asked), 422, "resource_group_not_found")
    refused(await admin.post("/v1/sessions", json=asked), 422, "resource_group_not_allowed")
    await patched(admin, name, allowed_domains=["default"], allowed_session_types=["interactive"])
    refused(await client.post("/v1/sessions", json=asked), 422, "session_type_not_allowed")
    await patched(admin, name, allowed_session_types=["batch"], is_active=False)
    refused(await client.post("/v1/sessions", json=asked), 422, "resource_group_inactive")
    await patched(admin, name, is_active=True, is_public=False)
    refused(await client.post("/v1/sessions", json=asked), 422, "resource_group_not_found")
    refused(await admin.post("/v1/sessions", json=asked), 422, "resource_group_not_allowed")


@pytest.fixture
async def lab(stack, admin):
    """A group of its own with an agent, and the agent's next heartbeats."""
    made = await group(admin)
    name, agent_id = made["name"], unique("a")

    async def beat(wanted=name):
        await stack.beat(agent_id, group=wanted)
        return (await admin.get(f"/v1/agents?id={agent_id}")).json()["items"]

    await eventually(beat, lambda items: items and items[0]["resource_group"] == name)
    yield name, agent_id, beat
    await admin.patch(f"{GROUPS}/{name}", json={"is_public": False})


async def test_an_inactive_group_lets_sessions_wait_and_places_them_when_active_again(
    stack, admin, lab
):
    name, agent_id, _ = lab
    whole = {"cpu": 4, "mem": "1g"}

    async def submitted():
        return await admin.post("/v1/sessions", json=batch(resource_group=name, resources=whole))

    running = (await eventually(submitted, lambda answer: answer.status_code == 201)).json()
    waiting = (await submitted()).json()
    await patched(admin, name, is_active=False)
    assert (await submitted()).json()["code"] == "resource_group_inactive"

    async def shown(session):
        return (await admin.get(f"/v1/sessions/{session['id']}")).json()

    running = await eventually(lambda: shown(running), lambda found: found["agents"])
    await stack.run(running)
    await eventually(lambda: shown(running), lambda found: found["status"] == "RUNNING")
    found = await eventually(
        lambda: shown(waiting),
        lambda found: (found["reason"] or {}).get("code") == "group-inactive",
    )
    assert found["status"] == "PENDING"
    await stack.end(running)
    await eventually(lambda: shown(running), lambda found: found["status"] == "TERMINATED")
    assert (await shown(waiting))["status"] == "PENDING"
    await patched(admin, name, is_active=True)
    placed = await eventually(lambda: shown(waiting), lambda found: found["agents"])
    assert placed["agents"] == [agent_id]
    await stack.end(placed)
    await eventually(lambda: shown(waiting), lambda found: found["status"] == "TERMINATED")


async def test_a_group_goes_only_when_nothing_refers_to_it(stack, admin, lab):
    name, agent_id, beat = lab
    path = f"{GROUPS}/{name}"
    await patched(admin, name, allowed_domains=["default"])
    answer = await admin.post("/v1/sessions", json=batch(resource_group=name))
    assert answer.status_code == 201, answer.text
    session = answer.json()
    found = (await admin.get(f"{path}/references")).json()
    assert {(item["type"], item["id"]) for item in found["items"]} == {
        ("agent", agent_id),
        ("domain", "default"),
        ("session", session["id"]),
    }
    assert (found["total"], found["deletable"]) == (3, False)
    answer = await admin.delete(path)
    refused(answer, 409, "resource_group_in_use")
    assert answer.json()["count"] == 3

    async def shown():
        return (await admin.get(f"/v1/sessions/{session['id']}")).json()

    await stack.end(await eventually(shown, lambda found: found["agents"]))
    await eventually(shown, lambda found: found["status"] == "TERMINATED")
    await eventually(lambda: beat("default"), lambda items: items[0]["resource_group"] == "default")
    await stack.beat(agent_id, group="default", goodbye="stopped")
    await patched(admin, name, allowed_domains=None)
    found = (await admin.get(f"{path}/references")).json()
    assert (found["items"], found["deletable"], found["reason"]) == ([], True, None)

    answer = await eventually(lambda: admin.delete(path), lambda got: got.status_code != 409)
    assert answer.status_code == 204, answer.text
    assert (await admin.get(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 404
    assert (await shown())["resource_group"] == name
    story = (await admin.get(f"{path}/timeline")).json()["items"]
    assert story[0]["type"] == "ResourceGroupDeleted"
    again = (await admin.post(GROUPS, json={"name": name})).json()
    assert (again["name"], again["description"]) == (name, "")


async def test_a_group_with_presets_of_its_own_is_not_deleted(admin):
    name = (await group(admin))["name"]
    slots = {"cpu": 1, "mem": "1g"}
    body = {"name": unique("p"), "resource_slots": slots, "resource_group": name}
    preset = (await admin.post("/v1/presets", json=body)).json()
    answer = await admin.delete(f"{GROUPS}/{name}")
    refused(answer, 409, "resource_group_in_use")
    assert answer.json()["references"] == [{"type": "preset", "id": preset["id"]}]
    found = (await admin.get(f"{GROUPS}/{name}/references")).json()
    assert [item["name"] for item in found["items"]] == [body["name"]]
    assert (await admin.delete(f"/v1/presets/{preset['id']}")).status_code == 204
    assert (await admin.delete(f"{GROUPS}/{name}")).status_code == 204


async def test_there_is_always_one_default_group_and_it_stays(admin):
    refused(await admin.delete(f"{GROUPS}/default"), 409, "default_group")
    patch = {"is_default": False}
    refused(await admin.patch(f"{GROUPS}/default", json=patch), 409, "default_needed")
    other = await group(admin, is_default=True)
    defaults = (await admin.get(f"{GROUPS}?is_default=true")).json()["items"]
    assert [item["name"] for item in defaults] == [other["name"]]
    await patched(admin, "default", is_default=True)
    defaults = (await admin.get(f"{GROUPS}?is_default=true")).json()["items"]
    assert [item["name"] for item in defaults] == ["default"]
    assert (await admin.delete(f"{GROUPS}/{other['name']}")).status_code == 204


async def test_of_many_who_create_the_same_group_at_once_one_does(admin):
    name = unique("g")
    answers = await asyncio.gather(
        *(admin.post(GROUPS, json={"name": name, "description": str(n)}) for n in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
