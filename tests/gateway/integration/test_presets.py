"""Presets through HTTP: by id or name, for one group or for every one."""

import pytest

from tests.gateway.integration.harness import IMAGE
from tests.gateway.integration.people import refused, signing, unique

GIB = 2**30
SLOTS = {"cpu": 1, "mem": "1g"}


async def preset(admin, **more):
    """Create a preset and return it."""
    body = {"name": unique("preset"), "resource_slots": SLOTS, **more}
    answer = await admin.post("/v1/presets", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def shown(created):
    return {name: value for name, value in created.items() if name != "warnings"}


async def test_a_preset_is_shown_as_it_was_made_by_id_and_by_name(admin):
    created = await preset(
        admin, resource_slots={**SLOTS, "cuda.shares": "0.25"}, shared_memory=2**20
    )
    assert created["resource_slots"] == {"cpu": "1", "cuda.shares": "0.25", "mem": str(GIB)}
    assert (created["shared_memory"], created["resource_group"]) == (2**20, None)
    for key in (created["id"], created["name"]):
        assert (await admin.get(f"/v1/presets/{key}")).json() == shown(created)
        assert (await admin.get(f"/v1/presets/{key}/timeline")).json()["total"] == 1


async def test_a_patch_changes_what_a_preset_asks_for(admin):
    created = await preset(admin, shared_memory=2**20, resource_slots={**SLOTS, "cuda.shares": 1})
    patch = {"resource_slots": {"cpu": "2", "cuda.shares": None}, "shared_memory": None}
    answer = await admin.patch(f"/v1/presets/{created['name']}", json=patch)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["resource_slots"] == {"cpu": "2", "mem": str(GIB)}
    assert changed["shared_memory"] is None
    for name in ("name", "resource_group", "id"):
        path = f"/v1/presets/{created['id']}"
        assert refused(await admin.patch(path, json={name: "x"}), 422) == {name: "read_only"}
    at = {"at": created["created_at"]}
    found = await admin.get(f"/v1/presets/{created['name']}", params=at)
    assert found.json() == shown(created)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"resource_slots": {"cpu": 1}}, "resource_slots.mem"),
        ({"resource_slots": {**SLOTS, "cuda.shares": 0}}, "resource_slots.cuda.shares"),
        ({"resource_slots": {**SLOTS, "cuda.shares": None}}, "resource_slots.cuda.shares"),
        ({"resource_slots": {**SLOTS, "cpu": "x"}}, "resource_slots.cpu"),
        ({"resource_slots": SLOTS, "shared_memory": GIB}, "shared_memory"),
        ({"resource_slots": SLOTS, "resource_group": "nowhere"}, "resource_group"),
        ({"resource_slots": SLOTS, "name": "a/b"}, "name"),
    ],
)
async def test_what_is_wrong_with_a_preset_is_named(admin, more, field):
    body = {"name": unique("preset"), **more}
    assert set(refused(await admin.post("/v1/presets", json=body), 422)) == {field}
    found = await admin.get("/v1/presets", params={"name": body["name"]})
    assert found.json()["total"] == 0


async def test_an_unknown_group_has_a_code_of_its_own(admin):
    body = {"name": unique("preset"), "resource_slots": SLOTS, "resource_group": "nowhere"}
    refused(await admin.post("/v1/presets", json=body), 422, "unknown_resource_group")


async def test_a_name_is_unique_within_its_group_and_ambiguous_across_groups(admin):
    everywhere = await preset(admin)
    name = everywhere["name"]
    again = await admin.post("/v1/presets", json={"name": name, "resource_slots": SLOTS})
    refused(again, 409, "preset_exists")
    there = await preset(admin, name=name, resource_group="default")
    path = f"/v1/presets/{name}"
    answer = await admin.get(path)
    assert refused(answer, 400, "ambiguous_preset") == {"resource_group": "required"}
    assert answer.json()["resource_groups"] == [None, "default"]
    for method in ("PATCH", "DELETE"):
        body = {"json": {}} if method == "PATCH" else {}
        refused(await admin.request(method, path, **body), 400, "ambiguous_preset")
    for group, meant in (("", everywhere), ("default", there)):
        found = await admin.get(path, params={"resource_group": group})
        assert found.json() == shown(meant)
    refused(await admin.get(path, params={"resource_group": "nowhere"}), 404, "preset_not_found")
    refused(await admin.get(f"{path}?resource_group=a&resource_group=b"), 400)
    gone = await admin.delete(path, params={"resource_group": "default"})
    assert gone.status_code == 204, gone.text
    assert (await admin.get(path)).json() == shown(everywhere)
    listed = await admin.get("/v1/presets", params={"name": name})
    assert listed.json()["items"] == [shown(everywhere)]


async def test_a_deleted_preset_is_gone_and_its_name_is_free_but_its_story_is_told(admin):
    created = await preset(admin)
    headers = {"Idempotency-Key": unique("k")}
    for _ in range(2):
        gone = await admin.delete(f"/v1/presets/{created['name']}", headers=headers)
        assert gone.status_code == 204, gone.text
    for key in (created["id"], created["name"]):
        refused(await admin.get(f"/v1/presets/{key}"), 404, "preset_not_found")
        refused(await admin.delete(f"/v1/presets/{key}"), 404, "preset_not_found")
    events = (await admin.get(f"/v1/presets/{created['id']}/timeline")).json()["items"]
    assert [event["type"] for event in events] == ["PresetDeleted", "PresetDefined"]
    again = await preset(admin, name=created["name"])
    assert again["id"] != created["id"]
    assert (await admin.delete(f"/v1/presets/{again['id']}")).status_code == 204


async def test_a_preset_that_no_agent_could_ever_hold_is_warned_of(admin, agent):
    huge = await preset(admin, resource_slots={"cpu": 1000, "mem": "1g"})
    assert [item["slot"] for item in huge["warnings"]] == ["cpu"]
    strange = await preset(admin, resource_slots={**SLOTS, "tpu.device": 1})
    assert [(item["slot"], item["cluster"]) for item in strange["warnings"]] == [
        ("tpu.device", "0")
    ]
    assert (await preset(admin))["warnings"] == []


async def test_everybody_reads_presets_and_only_a_superadmin_changes_them(stack, admin):
    created = await preset(admin)
    _, client = await signing(stack, admin)
    assert (await client.get(f"/v1/presets/{created['name']}")).json() == shown(created)
    refused(await client.patch(f"/v1/presets/{created['id']}", json={}), 403)
    refused(await client.delete(f"/v1/presets/{created['id']}"), 403)
    refused(await client.post("/v1/presets", json={"name": "x", "resource_slots": SLOTS}), 403)


async def test_a_session_takes_the_preset_of_its_group_before_that_of_every_group(
    stack, admin, agent
):
    everywhere = await preset(admin)
    there = await preset(
        admin,
        name=everywhere["name"],
        resource_group="default",
        resource_slots={"cpu": 2, "mem": "1g"},
    )

    async def taken(**more):
        body = {"name": unique("s"), "type": "batch", "image": IMAGE, "command": ["true"]}
        answer = await admin.post("/v1/sessions", json={**body, **more})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        await admin.delete(f"/v1/sessions/{made['id']}?forced=true")
        left = (await admin.get(f"/v1/sessions/{made['id']}")).json()
        if left["agents"]:
            await stack.end(left)
        return made["resources"]["cpu"], made["resource_group"]

    name = everywhere["name"]
    assert await taken(preset=name, resource_group="default") == ("2", "default")
    assert await taken(preset=name) == ("1", "default")
    assert await taken(preset=there["id"]) == ("2", "default")
    assert await taken(preset=name, resources={"cpu": "0.5"}) == ("0.5", "default")
    await admin.delete(f"/v1/presets/{everywhere['id']}")
    assert await taken(preset=name) == ("2", "default")
    await admin.delete(f"/v1/presets/{there['id']}")
    body = {"name": unique("s"), "type": "batch", "image": IMAGE, "preset": name}
    assert "preset" in refused(await admin.post("/v1/sessions", json=body), 422)
