"""Pages of a group's queue: who sees them, and in which order."""

import pytest

from tests.gateway.integration.harness import IMAGE, eventually
from tests.gateway.integration.people import domain, project, refused, signing, unique


def batch(more):
    small = {"resources": {"cpu": 1, "mem": "256m"}, "command": ["true"]}
    return {"name": unique("s"), "type": "batch", "image": IMAGE, **small, **more}


@pytest.fixture
async def lab(stack, admin):
    """A group of its own with an agent."""
    name, agent_id = unique("g"), unique("a")
    made = await admin.post("/v1/resource-groups", json={"name": name})
    assert made.status_code == 201, made.text

    async def beat():
        await stack.beat(agent_id, group=name)
        return (await admin.get(f"/v1/agents?id={agent_id}")).json()["items"]

    await eventually(beat, lambda items: items and items[0]["resource_group"] == name)
    return name


async def test_a_domain_admin_sees_the_queue_of_a_visible_group_with_true_positions(
    stack, admin, lab
):
    name = lab
    east = await domain(admin)
    _, head = await signing(stack, admin, domain=east["name"], role="admin")
    team = await project(admin, east["name"])
    _, member = await signing(stack, admin, domain=east["name"], projects=[team["id"]])
    queue = f"/v1/sessions/pending?resource_group={name}"
    later = {"resource_group": name, "starts_at": "2199-01-01T00:00:00Z"}
    first = (await admin.post("/v1/sessions", json=batch(later))).json()
    second = await member.post("/v1/sessions", json=batch({**later, "project": team["id"]}))
    assert second.status_code == 201, second.text

    async def seen_by(client):
        items = (await client.get(queue)).json()["items"]
        return [(item["position"], item["session"]["id"]) for item in items]

    both = [(1, first["id"]), (2, second.json()["id"])]
    await eventually(lambda: seen_by(admin), lambda found: found == both)
    assert await seen_by(head) == both[1:]
    assert (await head.get(f"/v1/live?topics=queue:{name}-no")).status_code == 404
    closed = {"allowed_domains": ["default"]}
    assert (await admin.patch(f"/v1/resource-groups/{name}", json=closed)).status_code == 200
    refused(await head.get(queue), 404)
    assert (await head.get(f"/v1/live?topics=queue:{name}")).status_code == 404
    assert await seen_by(admin) == both
    for session_id in (first["id"], second.json()["id"]):
        assert (await admin.delete(f"/v1/sessions/{session_id}")).status_code == 204
