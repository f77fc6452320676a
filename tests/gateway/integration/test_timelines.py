"""What has happened, as people read it: timelines of every kind of object, and the audit log."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway.integration.harness import ADMIN, IMAGE, PASSWORD, eventually

pytestmark = pytest.mark.timeout(240)


async def listed(client, path, **parameters):
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def paged(client, path, **parameters):
    """Read all pages of a list by its cursor."""
    found, cursor = [], {}
    while True:
        page = await listed(client, path, **parameters, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found, page["total"]
        cursor = {"cursor": page["next_cursor"]}


async def own_id(client):
    return (await client.get("/v1/auth/me")).json()["user"]["id"]


async def test_a_users_timeline_tells_from_the_creation_on_and_hides_every_secret(
    stack, admin, person
):
    made, signed = person
    client = await stack.logged_in(made["email"], PASSWORD)
    page = await listed(client, f"/v1/users/{made['id']}/timeline")
    types = [item["type"] for item in page["items"]]
    assert types[0] == "LoginStarted"
    assert {"UserCreated", "KeypairIssued", "ProjectMemberAdded"} <= set(types)
    assert page["total"] == len(types)
    positions = [item["position"] for item in page["items"]]
    assert positions == sorted(positions, reverse=True)
    created = next(item for item in page["items"] if item["type"] == "UserCreated")
    assert created["changes"]["email"] == {"from": None, "to": made["email"]}
    assert created["changes"]["status"] == {"from": None, "to": "active"}
    joined = next(item for item in page["items"] if item["type"] == "ProjectMemberAdded")
    assert joined["changes"] == {f"members.{made['id']}.role": {"from": None, "to": "member"}}
    text = str(page)
    assert "token_hash" not in text
    assert made["secret_key"] not in text
    assert await listed(signed, "/v1/users/me/timeline") == page


async def test_who_may_not_read_an_object_may_not_read_its_timeline(stack, admin, person):
    made, signed = person
    root = await own_id(admin)
    for path in (
        f"/v1/users/{root}/timeline",
        f"/v1/keypairs/{ADMIN['access_key']}/timeline",
        "/v1/users/nobody/timeline",
    ):
        answer = await signed.get(path)
        assert answer.status_code == 404, answer.text
    assert (await signed.get("/v1/agents/a1/timeline")).status_code == 403
    assert (await signed.get("/v1/events")).status_code == 403
    mine = await listed(signed, f"/v1/keypairs/{made['main_access_key']}/timeline")
    assert [item["type"] for item in mine["items"]] == ["KeypairIssued"]


async def test_addresses_are_told_to_administrators_and_to_whoever_acted(stack, admin, person):
    made, _ = person
    client = await stack.logged_in(made["email"], PASSWORD)
    path = f"/v1/users/{made['id']}/timeline"
    mine = {item["type"]: item for item in (await listed(client, path))["items"]}
    theirs = {item["type"]: item for item in (await listed(admin, path))["items"]}
    assert mine["LoginStarted"]["client_address"] == "127.0.0.1"
    assert mine["UserCreated"]["client_address"] is None
    assert mine["UserCreated"]["credential"] is None
    assert mine["UserCreated"]["actor"]["name"] is None
    assert theirs["UserCreated"]["client_address"] == "127.0.0.1"
    assert theirs["UserCreated"]["credential"] is not None
    assert theirs["UserCreated"]["actor"]["name"] is not None


async def test_a_change_is_told_with_what_was_there_before(admin, agent):
    for schedulable in (False, True, False, True):
        answer = await admin.patch(f"/v1/agents/{agent}", json={"schedulable": schedulable})
        assert answer.status_code == 200, answer.text
    page = await listed(admin, f"/v1/agents/{agent}/timeline", limit=2)
    assert [item["changes"] for item in page["items"]] == [
        {"schedulable": {"from": False, "to": True}},
        {"schedulable": {"from": True, "to": False}},
    ]
    assert page["items"][0]["actor"]["id"] == await own_id(admin)
    assert page["items"][0]["request_id"]


async def test_a_sessions_timeline_tells_its_life(stack, admin, agent):
    body = {"type": "batch", "image": IMAGE, "resources": {"cpu": "0.1", "mem": "64m"}}
    made = await admin.post("/v1/sessions", json={**body, "name": "told", "command": ["true"]})
    session_id = made.json()["id"]

    async def read():
        return (await admin.get(f"/v1/sessions/{session_id}")).json()

    await stack.end(await eventually(read, lambda found: found["status"] == "SCHEDULED"))
    await eventually(read, lambda found: found["status"] == "TERMINATED")
    found = await listed(admin, f"/v1/sessions/{session_id}/timeline")
    changes = [item["changes"] for item in reversed(found["items"])]
    statuses = [change["status"]["to"] for change in changes if "status" in change]
    assert (statuses[0], statuses[-1]) == ("PENDING", "TERMINATED")
    before = [change["status"]["from"] for change in changes if "status" in change]
    assert before == [None, *statuses[:-1]]
    assert changes[0]["kernels"]["to"][0]["requested"] == {"cpu": "0.1", "mem": "67108864"}
    assert "environ" not in changes[0]


async def test_every_kind_of_object_has_a_timeline(admin, agent):
    for path in (
        "users",
        "keypairs",
        "domains",
        "projects",
        "keypair-policies",
        "user-policies",
        "project-policies",
        "presets",
        "resource-groups",
        "agents",
        "images",
    ):
        for item in (await listed(admin, f"/v1/{path}"))["items"]:
            events, total = await paged(admin, f"/v1/{path}/{item['id']}/timeline", limit=500)
            assert len(events) == total > 0, (path, item["id"])
            # of a name that was used before, the earlier life is told too
            assert item["created_at"] in {event["at"] for event in events}, path


async def test_a_timeline_is_paged_by_cursor_and_by_offset_and_narrowed_by_type(admin):
    path = f"/v1/users/{await own_id(admin)}/timeline"
    whole = (await listed(admin, path, limit=500))["items"]
    found, total = await paged(admin, path, limit=2)
    assert (found, total) == (whole, len(whole))
    assert (await listed(admin, path, limit=2, offset=1))["items"] == whole[1:3]
    logins = await listed(admin, path, type="LoginStarted", limit=500)
    assert logins["items"] == [item for item in whole if item["type"] == "LoginStarted"]
    assert logins["total"] == len(logins["items"])
    for wrong in ("?sort=position", "?cursor=x", "?at=2020-01-01T00:00:00Z", "?type=Nothing"):
        assert (await admin.get(path + wrong)).status_code == 400, wrong


async def test_the_audit_log_holds_every_service_and_is_filtered(admin, agent, person):
    made, _ = person
    everything, total = await paged(admin, "/v1/events", limit=500)
    assert len(everything) == total
    order = [(item["at"], item["service"], item["position"]) for item in everything]
    assert order == sorted(order, reverse=True)
    assert {item["service"] for item in everything} == {"users", "policies", "scheduler", "agents"}
    filters = {
        "service": "policies",
        "type": "UserCreated",
        "aggregate": "keypair",
        "actor": await own_id(admin),
        "id": made["id"],
    }
    members = {"actor": lambda item: item["actor"]["id"]}
    for name, value in filters.items():
        value_of = members.get(name, lambda item, name=name: item[name])
        found, count = await paged(admin, "/v1/events", limit=7, **{name: value})
        assert found == [item for item in everything if value_of(item) == value], name
        assert count == len(found) > 0, name
    both = await listed(admin, "/v1/events", service="users", aggregate="agent")
    assert both == {"items": [], "total": 0, "next_cursor": None}


async def test_the_audit_log_is_cut_by_time(admin, person):
    everything = (await paged(admin, "/v1/events", limit=500))[0]
    middle = everything[len(everything) // 2]["at"]
    later, count = await paged(admin, "/v1/events", limit=50, **{"from": middle})
    assert later == [item for item in everything if item["at"] >= middle]
    assert count == len(later)
    earlier, _ = await paged(admin, "/v1/events", limit=50, to=middle)
    assert later + earlier == everything
    tomorrow = (datetime.now(tz=UTC) + timedelta(days=1)).isoformat()
    assert (await listed(admin, "/v1/events", **{"from": tomorrow}))["total"] == 0
    for wrong in ("from=yesterday", "to=2026-01-01", "from=2026-13-01T00:00:00Z"):
        answer = await admin.get(f"/v1/events?{wrong}")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == wrong.partition("=")[0]


async def test_what_was_written_is_in_the_audit_log_at_once(admin, stack):
    for _ in range(5):
        client = await stack.logged_in()
        await client.post("/v1/auth/logout")
        newest = (await listed(admin, "/v1/events", service="users", limit=1))["items"][0]
        assert newest["type"] == "LoginEnded"


async def test_an_erased_persons_past_is_valid_and_says_nothing_of_them(stack, admin, person):
    made, _ = person
    path = f"/v1/users/{made['id']}"
    before = (await admin.get(path)).json()["modified_at"]
    for body in ({"full_name": "Erasmus Erasable"}, {"status": "inactive"}):
        assert (await admin.patch(path, json=body)).status_code == 200
    told = (await listed(admin, f"{path}/timeline", type="UserProfileChanged"))["items"]
    assert told[0]["changes"]["full_name"]["to"] == "Erasmus Erasable"
    assert (await admin.post(f"{path}/erase")).status_code in {200, 204}
    told = await listed(admin, f"{path}/timeline", limit=500)
    changes = {item["type"]: item["changes"] for item in told["items"]}
    assert changes["UserProfileChanged"]["full_name"] == {"from": None, "to": None}
    assert changes["UserErased"] == {"erased": {"from": None, "to": True}}
    then = (await admin.get(path, params={"at": before})).json()
    assert (then["status"], then["erased"], then["email"]) == ("active", True, None)
    for text in (str(told), str(then), str(await listed(admin, "/v1/events", id=made["id"]))):
        assert "Erasmus" not in text
        assert made["email"] not in text


async def test_a_keypair_that_is_gone_keeps_its_timeline_and_its_past(admin, person):
    made, signed = person
    issued = (await signed.post("/v1/keypairs", json={"user_id": made["id"]})).json()
    path = f"/v1/keypairs/{issued['access_key']}"
    assert (await signed.post(f"{path}/deactivate")).status_code == 200
    assert (await signed.delete(path)).status_code == 204
    assert (await signed.get(path)).status_code == 404
    told = (await listed(signed, f"{path}/timeline"))["items"]
    types = ["KeypairDeleted", "KeypairDeactivated", "KeypairIssued"]
    assert [item["type"] for item in told] == types
    then = await signed.get(path, params={"at": told[-1]["at"]})
    assert then.json()["status"] == "active"
    assert (await signed.get(path, params={"at": told[0]["at"]})).status_code == 404
    mine = await listed(signed, "/v1/users/me/timeline", limit=500)
    assert set(types) <= {item["type"] for item in mine["items"]}
