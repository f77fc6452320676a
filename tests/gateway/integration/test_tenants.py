"""Domains, projects and members through HTTP."""

import pytest

from shared.kernel.ids import new_id
from tests.gateway.integration.people import domain, made, project, refused, signing, unique

GIB = 2**30


async def test_a_domain_is_shown_as_it_was_made_and_changed(admin):
    created = await domain(
        admin,
        description="of the lab",
        allowed_hosts={"local": ["mount-in-session", "upload-file"]},
        total_resource_slots={"cpu": 4, "mem": "8g", "gpu": None},
    )
    assert created["total_resource_slots"] == {"cpu": "4", "mem": str(8 * GIB), "gpu": None}
    path = f"/v1/domains/{created['name']}"
    assert (await admin.get(path)).json() == created
    patch = {"description": None, "total_resource_slots": {"cpu": None, "gpu": "1"}}
    answer = await admin.patch(path, json=patch)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["description"] == ""
    assert changed["total_resource_slots"] == {"gpu": "1", "mem": str(8 * GIB)}
    assert changed["allowed_hosts"] == {"local": ["mount-in-session", "upload-file"]}
    assert changed["modified_at"] > created["modified_at"]
    assert (await admin.get(path)).json() == changed
    listed = (await admin.get(f"/v1/domains?name={created['name']}")).json()
    assert listed["items"] == [changed]


async def test_a_domain_that_is_there_already_is_a_conflict(admin):
    created = await domain(admin)
    answer = await admin.post("/v1/domains", json={"name": created["name"]})
    refused(answer, 409)


async def test_each_wrong_slot_is_named(admin):
    body = {"name": unique("d"), "total_resource_slots": {"cpu": "many", "mem": "1x", "gpu": 1}}
    found = refused(await admin.post("/v1/domains", json=body), 422)
    assert set(found) == {"total_resource_slots.cpu", "total_resource_slots.mem"}
    assert (await admin.get(f"/v1/domains/{body['name']}")).status_code == 404


async def test_what_cannot_be_changed_is_named_and_nothing_is(admin):
    created = await domain(admin)
    patch = {"name": "x", "nonsense": 1, "is_active": None, "description": "new"}
    found = refused(await admin.patch(f"/v1/domains/{created['name']}", json=patch), 422)
    assert found == {"name": "read_only", "nonsense": "unknown_field", "is_active": "required"}
    assert (await admin.get(f"/v1/domains/{created['name']}")).json() == created


async def test_a_project_is_shown_as_it_was_made_and_changed(admin):
    created = await project(admin, description="x", total_resource_slots={"cpu": "0.5"})
    assert (created["type"], created["domain"]) == ("general", "default")
    path = f"/v1/projects/{created['id']}"
    answer = await admin.patch(path, json={"is_active": False, "allowed_hosts": {"local": []}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["is_active"] is False
    assert answer.json()["description"] == "x"
    assert (await admin.get(path)).json() == answer.json()
    found = refused(await admin.patch(path, json={"type": "model-store", "domain": "x"}), 422)
    assert found == {"type": "read_only", "domain": "read_only"}


async def test_everybody_of_a_domain_joins_its_new_model_store_and_stays(admin):
    lab = await domain(admin)
    user = await made(admin, domain=lab["name"], projects=[])
    store = await project(admin, lab["name"], type="model-store")
    shown = (await admin.get(f"/v1/users/{user['id']}")).json()
    assert shown["projects"] == [store["id"]]
    path = f"/v1/projects/{store['id']}/members/{user['id']}"
    assert (await admin.get(path)).json()["role"] == "member"
    assert 400 <= (await admin.delete(path)).status_code < 500
    assert (await admin.get(path)).status_code == 200


async def test_members_come_get_another_role_and_go(admin):
    created, user = await project(admin), await made(admin)
    members = f"/v1/projects/{created['id']}/members"
    answer = await admin.put(f"{members}/{user['id']}", json={})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["role"], answer.json()["email"]) == ("member", user["email"])
    assert created["id"] in (await admin.get(f"/v1/users/{user['id']}")).json()["projects"]
    promoted = await admin.put(f"{members}/{user['id']}", json={"role": "admin"})
    assert promoted.json()["created_at"] == answer.json()["created_at"]
    assert (await admin.get(f"{members}?role=admin")).json()["items"] == [promoted.json()]
    assert (await admin.get(f"{members}?role=member")).json()["total"] == 0
    gone = await admin.delete(f"{members}/{user['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    refused(await admin.get(f"{members}/{user['id']}"), 404, "member_not_found")
    assert created["id"] not in (await admin.get(f"/v1/users/{user['id']}")).json()["projects"]


async def test_the_same_key_makes_one_project(admin):
    body = {"name": unique("p"), "domain": "default", "type": "general"}
    headers = {"Idempotency-Key": new_id()}
    first = await admin.post("/v1/projects", json=body, headers=headers)
    again = await admin.post("/v1/projects", json=body, headers=headers)
    assert (first.status_code, first.content) == (201, again.content)
    assert (await admin.get(f"/v1/projects?name={body['name']}")).json()["total"] == 1


async def test_a_project_admin_has_power_over_the_members_of_that_project_only(stack, admin):
    theirs, other = await project(admin), await project(admin)
    user, client = await signing(stack, admin, projects=[theirs["id"], other["id"]])
    newcomer = await made(admin)
    members = f"/v1/projects/{theirs['id']}/members"
    path = f"{members}/{newcomer['id']}"
    refused(await client.put(path, json={}), 403, "forbidden")
    assert "projects.members" not in (await client.get("/v1/auth/me")).json()["capabilities"]
    assert (await client.get(members)).json()["total"] == 1  # the own part
    await admin.put(f"{members}/{user['id']}", json={"role": "admin"})
    assert "projects.members" in (await client.get("/v1/auth/me")).json()["capabilities"]
    assert (await client.put(path, json={})).status_code == 200
    assert (await client.get(members)).json()["total"] == 2
    elsewhere = f"/v1/projects/{other['id']}/members/{newcomer['id']}"
    refused(await client.put(elsewhere, json={}), 403)
    refused(await client.patch(f"/v1/projects/{theirs['id']}", json={"description": "x"}), 403)
    hidden = await project(admin)
    refused(await client.get(f"/v1/projects/{hidden['id']}/members"), 404, "project_not_found")
    refused(await client.put(f"/v1/projects/{hidden['id']}/members/{user['id']}", json={}), 404)
    assert (await client.delete(path)).status_code == 204


async def test_a_domain_admin_rules_the_projects_of_the_own_domain(stack, admin):
    lab = await domain(admin)
    _, client = await signing(stack, admin, domain=lab["name"], projects=[], role="admin")
    own = await project(client, lab["name"])
    user = await made(admin, domain=lab["name"], projects=[])
    path = f"/v1/projects/{own['id']}/members/{user['id']}"
    assert (await client.put(path, json={"role": "admin"})).status_code == 200
    assert (await client.patch(f"/v1/projects/{own['id']}", json={})).status_code == 200
    body = {"name": unique("p"), "domain": "default", "type": "general"}
    refused(await client.post("/v1/projects", json=body), 404, "domain_not_found")
    foreign = await project(admin)
    refused(await client.patch(f"/v1/projects/{foreign['id']}", json={"description": "x"}), 404)
    refused(await client.get(f"/v1/projects/{foreign['id']}/members"), 404)
    refused(await client.post("/v1/domains", json={"name": unique("d")}), 403)
    refused(await client.patch(f"/v1/domains/{lab['name']}", json={"description": "x"}), 403)


async def test_a_user_of_another_domain_is_no_member(admin):
    lab, created = await domain(admin), await project(admin)
    stranger = await made(admin, domain=lab["name"], projects=[])
    answer = await admin.put(f"/v1/projects/{created['id']}/members/{stranger['id']}", json={})
    assert answer.status_code in {404, 422}, answer.text
    answer = await admin.put(f"/v1/projects/{created['id']}/members/{new_id()}", json={})
    assert answer.status_code in {404, 422}, answer.text


@pytest.mark.parametrize("kind", ["domains", "projects"])
async def test_an_object_that_is_not_there_is_404(admin, kind):
    refused(await admin.patch(f"/v1/{kind}/{new_id()}", json={"description": "x"}), 404)
