"""What a session gets of what it asks for: its image's minimum, shared memory, certain agents."""

import msgspec
import pytest_asyncio

from tests.gateway.integration.harness import PROFILE, eventually
from tests.gateway.integration.people import domain, project, signing, unique
from tests.gateway.integration.test_sessions import batch, finished, placed

NEEDY = "lab/needy:1"
LABELS = {
    "ai.backend.resource.min.cpu": "2",
    "ai.backend.resource.min.mem": "1g",
    "ai.backend.resource.preferred.shmem": "64m",
}
GIB, MIB = 2**30, 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(stack, admin):
    """A resource group of two agents that offer an image with labels."""
    group = unique("g")
    answer = await admin.post("/v1/resource-groups", json={"name": group})
    assert answer.status_code == 201, answer.text
    profile = msgspec.structs.replace(
        PROFILE, images=(*PROFILE.images, NEEDY), image_labels={NEEDY: LABELS}
    )
    agents = sorted((unique("a"), unique("a")))

    async def heard():
        for agent_id in agents:
            await stack.beat(agent_id, group=group, profile=profile)
        dry = batch(image=NEEDY, resource_group=group, designated_agents=agents)
        return (await admin.post("/v1/sessions/simulate", json=dry)).json()

    await eventually(heard, lambda found: found.get("adjustments"))
    return group, agents


async def refused(client, lab, **more):
    answer = await client.post("/v1/sessions", json=batch(resource_group=lab[0], **more))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    return {error["field"]: error["code"] for error in problem["errors"]}, problem


async def test_a_request_below_the_minimum_of_its_image_is_raised_and_says_so(stack, admin, lab):
    group, _ = lab
    wish = batch(image=NEEDY, resource_group=group, resources={"cpu": 1, "mem": "512m"})
    dry = (await admin.post("/v1/sessions/simulate", json=wish)).json()
    made = (await admin.post("/v1/sessions", json=wish)).json()
    assert made["resources"] == {"cpu": "2", "mem": str(1088 * MIB)}
    assert made["shared_memory"] == 64 * MIB
    assert made["adjustments"] == [
        {
            "slot": "cpu",
            "requested": "1",
            "adjusted_to": "2",
            "why": "image-minimum",
            "text": "cpu was raised from 1 to 2, which is the least that the image needs.",
        },
        {
            "slot": "mem",
            "requested": str(512 * MIB),
            "adjusted_to": str(1088 * MIB),
            "why": "image-minimum-and-shared-memory",
            "text": f"mem was raised from {512 * MIB} to {1088 * MIB}, which is the least that "
            "the image needs, with the shared memory.",
        },
    ]
    assert dry["adjustments"] == made["adjustments"]
    session = await placed(admin, made)
    holder = (await admin.get(f"/v1/agents/{session['agents'][0]}")).json()
    assert holder["occupied_slots"]["cpu"] == "2"
    (event,) = [
        one
        for one in (await admin.get(f"/v1/sessions/{made['id']}/timeline")).json()["items"]
        if one["type"] == "SessionEnqueued"
    ]
    assert '"adjusted_to": "2"' in msgspec.json.format(msgspec.json.encode(event)).decode()
    await finished(stack, admin, made)


async def test_a_strict_request_is_refused_instead_and_shared_memory_is_a_part_of_memory(
    admin, lab
):
    fields, problem = await refused(admin, lab, image=NEEDY, strict=True)
    assert fields == {
        "resources.cpu": "below_image_minimum",
        "resources.mem": "below_image_minimum",
    }
    assert problem["code"] == "below_image_minimum"
    assert problem["adjustments"][0] == {"slot": "cpu", "requested": "1", "minimum": "2"}
    fields, problem = await refused(admin, lab, shared_memory="256m")
    assert fields == {"shared_memory": "not_below_memory"}
    fields, problem = await refused(admin, lab, shared_memory="much")
    assert fields == {"shared_memory": "not_a_number"}


async def test_a_preset_brings_its_shared_memory_and_what_is_said_beside_it_goes_before(
    stack, admin, lab
):
    name = unique("p")
    slots = {"cpu": 1, "mem": "1g"}
    body = {"name": name, "resource_slots": slots, "shared_memory": 128 * MIB}
    assert (await admin.post("/v1/presets", json=body)).status_code == 201

    async def made(**more):
        wish = {**batch(resource_group=lab[0], preset=name), "resources": {}, **more}
        answer = await admin.post("/v1/sessions", json=wish)
        assert answer.status_code == 201, answer.text
        return answer.json()

    as_it_is = await made()
    assert (as_it_is["resources"]["mem"], as_it_is["shared_memory"]) == (str(GIB), 128 * MIB)
    other = await made(resources={"mem": "2g"}, shared_memory="1g")
    assert (other["resources"], other["shared_memory"]) == (
        {"cpu": "1", "mem": str(2 * GIB)},
        GIB,
    )
    await finished(stack, admin, as_it_is, other)


async def test_administrators_bind_sessions_to_agents_and_nobody_else_does(stack, admin, lab):
    group, agents = lab
    for wanted in agents:
        bound = (await admin.post("/v1/sessions", json=batch(designated_agents=[wanted]))).json()
        assert (bound["designated_agents"], bound["resource_group"]) == ([wanted], group)
        assert (await placed(admin, bound))["agents"] == [wanted]
        await finished(stack, admin, bound)
    fields, problem = await refused(admin, lab, designated_agents=[agents[0], "nobody"])
    assert fields == {"designated_agents": "agent_not_found"}
    assert problem["code"] == "agent_not_found"
    east = await domain(admin)
    mine = await project(admin, east["name"])
    for role, status in (("admin", 201), ("user", 403)):
        _, client = await signing(
            stack, admin, domain=east["name"], projects=[mine["id"]], role=role
        )
        wish = batch(resource_group=group, designated_agents=agents)
        dry = await client.post("/v1/sessions/simulate", json=wish)
        answer = await client.post("/v1/sessions", json=wish)
        assert answer.status_code == status, answer.text
        assert dry.status_code == (200 if status == 201 else 403)
        if status == 403:
            assert answer.json()["action"] == "sessions.designate"
        else:
            await finished(stack, admin, answer.json())
