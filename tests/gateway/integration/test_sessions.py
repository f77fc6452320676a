import asyncio

import pytest

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import IMAGE, eventually

SMALL = {"cpu": 1, "mem": "256m"}


def batch(**more):
    return {
        "name": f"s{new_id()[-12:]}",
        "type": "batch",
        "image": IMAGE,
        "resources": SMALL,
        "command": ["true"],
        **more,
    }


async def _get(client, session_id):
    return (await client.get(f"/v1/sessions/{session_id}")).json()


async def placed(client, session):
    return await eventually(
        lambda: _get(client, session["id"]), lambda found: found["status"] != "PENDING"
    )


async def finished(stack, client, *sessions):
    """End what was placed, as its node would, so that its place is free again."""
    for session in sessions:
        await stack.end(await placed(client, session))
        await eventually(
            lambda session=session: _get(client, session["id"]),
            lambda found: found["status"] == "TERMINATED",
        )


async def test_a_session_is_accepted_shown_and_placed(stack, admin, agent):
    body = batch(environ={"TOKEN": "hunter2"})
    answer = await admin.post("/v1/sessions", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["name"] == body["name"]
    assert made["resources"] == {"cpu": "1", "mem": "268435456"}
    assert "hunter2" not in answer.text
    session = await placed(admin, made)
    assert session["agents"] == [agent]
    assert session["position"] is None
    found = (await admin.get(f"/v1/agents/{agent}")).json()
    assert found["occupied_slots"]["mem"] != "0"
    assert found["session_count"] >= 1
    assert found["live"]["cpu_util"] == 12.5
    await stack.run(session)
    await stack.end(session, exit_code=3)
    over = await eventually(lambda: _get(admin, made["id"]), lambda it: it["result"] != "undefined")
    assert (over["status"], over["result"], over["exit_code"]) == ("TERMINATED", "failure", 3)
    assert list(over["status_history"])[:2] == ["PENDING", "SCHEDULED"]
    await eventually(lambda: _agent(admin, agent), lambda found: found["occupied_slots"] == {})


async def _agent(client, agent_id):
    return (await client.get(f"/v1/agents/{agent_id}")).json()


async def test_what_does_not_fit_now_waits_in_the_queue_with_a_reason(stack, admin, agent):
    whole = {"cpu": 4, "mem": "512m"}
    first = (await admin.post("/v1/sessions", json=batch(resources=whole))).json()
    await placed(admin, first)
    second = (await admin.post("/v1/sessions", json=batch(resources=whole))).json()
    third = (await admin.post("/v1/sessions", json=batch(resources=whole))).json()

    async def queue():
        return (await admin.get("/v1/sessions/pending?resource_group=default")).json()

    found = await eventually(
        queue,
        lambda page: all(item["reason"]["code"] != "not-examined-yet" for item in page["items"]),
    )
    assert [item["session"]["id"] for item in found["items"]] == [second["id"], third["id"]]
    assert [item["position"] for item in found["items"]] == [1, 2]
    assert found["items"][0]["reason"]["message"]
    assert found["items"][0]["owner"]["email"] == "root@example.org"
    assert found["items"][0]["requested"] == {"cpu": "4", "mem": "536870912"}
    assert (await _get(admin, second["id"]))["position"] == 1
    for session in (third, second):
        assert (await admin.delete(f"/v1/sessions/{session['id']}")).status_code == 204
        assert (await _get(admin, session["id"]))["status"] == "CANCELLED"
    assert (await queue())["total"] == 0
    await finished(stack, admin, first)


async def test_an_array_is_answered_as_a_list(stack, admin, agent):
    answer = await admin.post("/v1/sessions", json=batch(count=3, name="array"))
    assert answer.status_code == 201, answer.text
    assert [item["name"] for item in answer.json()["items"]] == ["array-0", "array-1", "array-2"]
    await finished(stack, admin, *answer.json()["items"])


async def test_the_same_key_makes_one_session(stack, admin, agent):
    headers, body = {"Idempotency-Key": new_id()}, batch()
    answers = await asyncio.gather(
        *(admin.post("/v1/sessions", json=body, headers=headers) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await admin.get(f"/v1/sessions?name={body['name']}")).json()["total"] == 1
    await finished(stack, admin, answers[0].json())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"image": "nobody/knows:this"}, "image"),
        ({"resources": {"cpu": "4096", "mem": "1g"}}, "resources"),
        ({"resources": {"cpu": "-1"}}, "resources"),
        ({"resources": {"cpu": "much"}}, "resources"),
        ({"resource_group": "nowhere"}, "resource_group"),
        ({"project": "nothing"}, "project"),
        ({"preset": "gigantic"}, "preset"),
        ({"environ": {"": "x"}}, "environ"),
        ({"mounts": [{"folder": "x"}]}, "mounts"),
        ({"count": 0}, "count"),
        ({"name": ""}, "name"),
    ],
)
async def test_a_session_that_cannot_be_is_refused_with_the_field(admin, agent, changes, field):
    before = (await admin.get("/v1/sessions")).json()["total"]
    answer = await admin.post("/v1/sessions", json=batch(**changes))
    assert answer.status_code == 422, answer.text
    named = {error["field"].partition(".")[0] for error in answer.json()["errors"]}
    assert field in named or answer.json()["code"] != "invalid_request"
    assert (await admin.get("/v1/sessions")).json()["total"] == before


async def test_others_sessions_are_out_of_sight_and_a_monitor_may_not_touch_them(
    stack, admin, agent, person
):
    _, client = person
    made = (await admin.post("/v1/sessions", json=batch())).json()
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/logs"),
    ):
        answer = await client.request(method, f"/v1/sessions/{made['id']}{path}")
        assert answer.status_code == 404, answer.text
    assert (await client.get("/v1/sessions")).json()["total"] == 0
    assert (await client.get("/v1/sessions/pending?resource_group=default")).status_code == 403
    await finished(stack, admin, made)


async def test_the_switch_of_an_agent_is_seen_at_once(admin, agent):
    off = await admin.patch(f"/v1/agents/{agent}", json={"schedulable": False})
    assert off.status_code == 200, off.text
    assert off.json()["schedulable"] is False
    assert (await admin.get("/v1/agents?schedulable=false")).json()["total"] == 1
    assert (await admin.patch("/v1/agents/nobody", json={"schedulable": True})).status_code == 404
    assert (await admin.patch(f"/v1/agents/{agent}", json={})).status_code == 422
    on = await admin.patch(f"/v1/agents/{agent}", json={"schedulable": True})
    assert on.json()["schedulable"] is True


async def test_an_unknown_queue_is_404_and_a_queue_must_be_named(admin):
    assert (await admin.get("/v1/sessions/pending?resource_group=no")).status_code == 404
    assert (await admin.get("/v1/sessions/pending")).status_code == 400


async def test_the_image_is_listed_with_where_it_is_installed(admin, agent):
    (image,) = (await admin.get("/v1/images?canonical=local/host")).json()["items"]
    assert image["canonical"] == IMAGE
    assert (image["registry"], image["name"], image["tag"]) == ("local", "host", "latest")
    assert agent in image["installed_on"]
    assert (await admin.get(f"/v1/images/{image['id']}")).json() == image


async def test_the_system_tells_how_its_parts_are(stack, admin, person):
    def all_told(info):
        told = {part["name"]: part["status"] for part in info["components"]}
        return all(told[name] == "ok" for name in ("users", "policies", "scheduler", "agents"))

    async def info():
        return (await admin.get("/v1/system/info")).json()

    found = await eventually(info, all_told)
    assert found["api_version"] == "v1"
    assert {part["status"] for part in found["components"] if part["name"] == "storage"} == {"away"}
    assert found["cluster"]["agents"]["total"] >= 0
    _, client = person
    assert (await client.get("/v1/system/info")).json()["cluster"] is None
