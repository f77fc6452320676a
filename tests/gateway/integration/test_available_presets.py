"""Which presets one could use now: by what the limits leave, and by what one agent has free."""

import pytest_asyncio

from tests.gateway.integration.harness import eventually
from tests.gateway.integration.people import domain, project, refused, signing, unique
from tests.gateway.integration.test_limits import placed, policy, submitted


async def available(client, **query):
    answer = await client.get("/v1/presets/available", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def offered(client, name, **query):
    """Return one preset of the list."""
    items = (await available(client, **query))["items"]
    assert items == sorted(items, key=lambda item: item["name"])
    (found,) = [item for item in items if item["name"] == name]
    return found


async def preset(admin, **more):
    body = {"name": unique("pr"), "resource_slots": {"cpu": 2, "mem": "1g"}, **more}
    answer = await admin.post("/v1/presets", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["name"]


@pytest_asyncio.fixture(loop_scope="session")
async def somebody(stack, admin):
    """A user of an own domain and project, whose keypair may hold 2 cpu."""
    east = await domain(admin)
    mine = await project(admin, east["name"])
    user, client = await signing(stack, admin, domain=east["name"], projects=[mine["id"]])
    name = await policy(admin, total_resource_slots={"cpu": 2})
    key = user["main_access_key"]
    await admin.patch(f"/v1/keypairs/{key}", json={"resource_policy": name})
    return user, client, mine, name


async def test_a_preset_is_to_be_had_as_long_as_limits_and_agents_leave_room(
    stack, admin, agent, somebody
):
    user, client, mine, name = somebody
    fits, wide = await preset(admin), await preset(admin, resource_slots={"cpu": 3, "mem": "1g"})
    huge = await preset(admin, resource_slots={"cpu": 1, "mem": "500g"})
    foreign = await preset(admin, resource_slots={"cpu": 1, "mem": "1g", "tpu.device": 1})
    page = await available(client)
    assert (page["access_key"], page["project"]) == (user["main_access_key"], mine["id"])
    assert page["remaining"]["cpu"] == "2"
    assert (await offered(client, fits))["allocatable"] is True
    assert (await offered(client, fits))["reason"] is None
    reason = (await offered(client, wide))["reason"]
    assert reason["code"] == "over-limit"
    assert reason["violations"][0]["scope"] == f"keypair:{user['main_access_key']}"
    assert (await offered(client, huge))["reason"]["code"] == "not-enough-resources"
    assert (await offered(client, foreign))["reason"]["code"] == "slot-not-offered"
    session = await placed(client, await submitted(client))
    assert (await offered(client, fits))["allocatable"] is False
    assert (await available(client))["remaining"]["cpu"] == "1"
    raised = await admin.patch(
        f"/v1/keypair-policies/{name}", json={"total_resource_slots": {"cpu": 3}}
    )
    assert raised.status_code == 200, raised.text
    assert (await offered(client, fits))["allocatable"] is True
    await stack.end(session)
    await eventually(lambda: available(client), lambda page: page["remaining"]["cpu"] == "3")


async def test_what_is_said_of_a_preset_is_what_the_scheduler_says_of_its_session(
    stack, admin, agent, somebody
):
    _, client, *_ = somebody
    wide = await preset(admin, resource_slots={"cpu": 3, "mem": "1g"})
    said = (await offered(client, wide))["reason"]
    waiting = await submitted(client, resources={}, preset=wide)

    async def asked():
        return (await client.get(f"/v1/sessions/{waiting['id']}")).json()

    told = await eventually(asked, lambda found: found["reason"]["code"] == "over-limit")
    assert (told["status"], told["reason"]["code"]) == ("PENDING", said["code"])
    assert told["reason"]["violations"] == said["violations"]
    fits = await preset(admin)
    assert (await offered(client, fits))["allocatable"]
    await stack.end(await placed(client, await submitted(client, resources={}, preset=fits)))
    assert (await client.delete(f"/v1/sessions/{waiting['id']}")).status_code == 204


async def test_what_sessions_hold_is_not_free_for_presets(stack, admin, agent):
    name = await preset(admin, resource_slots={"cpu": 4, "mem": "1g"})
    assert (await offered(admin, name))["allocatable"] is True
    session = await placed(admin, await submitted(admin))
    found = await offered(admin, name)
    assert found["reason"]["code"] == "not-enough-resources"
    assert found["reason"]["violations"][0]["short_by"] == "1"
    (group,) = (await available(admin, resource_group="default"))["resource_groups"]
    assert group["largest"]["cpu"] == "3"
    await stack.end(session)
    back = await eventually(lambda: offered(admin, name), lambda found: found["allocatable"])
    assert back["reason"] is None


async def test_an_agent_that_takes_nothing_new_has_no_room(admin, agent, somebody):
    _, client, *_ = somebody
    name = await preset(admin)
    await admin.patch(f"/v1/agents/{agent}", json={"schedulable": False})
    try:
        found = await offered(client, name, resource_group="default")
        assert found["reason"]["code"] == "no-agent-schedulable"
    finally:
        await admin.patch(f"/v1/agents/{agent}", json={"schedulable": True})
    assert (await offered(client, name))["allocatable"] is True


async def test_a_project_that_is_not_ones_own_and_a_group_that_is_not_there_are_refused(somebody):
    _, client, *_ = somebody
    answer = await client.get("/v1/presets/available?resource_group=nowhere")
    refused(answer, 404, "resource_group_not_found")
    answer = await client.get("/v1/presets/available?project=nothing")
    assert refused(answer, 422) == {"project": "unknown"}
    answer = await client.get("/v1/presets/available?colour=red")
    assert refused(answer, 400) == {"colour": "unknown_parameter"}


async def test_hidden_numbers_are_not_told_and_decide_all_the_same(stack, admin, agent):
    east = await domain(admin)
    mine = await project(admin, east["name"], total_resource_slots={"cpu": 1})
    _, client = await signing(stack, admin, domain=east["name"], projects=[mine["id"]])
    name = await preset(admin)
    hidden = {"group_resource_visibility": False}
    assert (await admin.patch("/v1/settings", json=hidden)).status_code == 200
    try:
        reason = (await offered(client, name))["reason"]
        assert reason["code"] == "over-limit"
        (violation,) = reason["violations"]
        assert violation["scope"] == f"project:{mine['id']}"
        assert violation["limit"] is None
        assert (await available(client))["remaining"]["cpu"] is None
    finally:
        await admin.delete("/v1/settings/group_resource_visibility")
    assert (await offered(client, name))["reason"]["violations"][0]["limit"] == "1"


async def test_who_has_no_project_can_start_nothing(stack, admin, agent):
    east = await domain(admin)
    _, client = await signing(stack, admin, domain=east["name"], projects=[])
    name = await preset(admin)
    assert (await offered(client, name))["reason"]["code"] == "no-project"
