"""`POST /v1/sessions/simulate`: what creation would do, and nothing done."""

from tests.gateway.integration.test_sessions import batch, finished, placed


async def simulated(client, **more):
    answer = await client.post("/v1/sessions/simulate", json=batch(**more))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_simulation_says_where_a_session_would_start_or_what_it_would_wait_for(
    stack, admin, agent
):
    before = (await admin.get("/v1/sessions?limit=1")).json()["total"]
    found = await simulated(admin, name="dry", count=2)
    assert found == {
        "resource_group": "default",
        "total": 2,
        "starting_now": 2,
        "adjustments": [],
        "sessions": [
            {
                "name": name,
                "starts_now": True,
                "kernels": [{"hostname": "main1", "agent_id": agent, "devices": {}}],
                "position": None,
                "reason": None,
                "estimated_start": None,
            }
            for name in ("dry-0", "dry-1")
        ],
    }
    whole = {"cpu": 4, "mem": "512m"}
    running = (await admin.post("/v1/sessions", json=batch(resources=whole))).json()
    await placed(admin, running)
    (one,) = (await simulated(admin, resources=whole))["sessions"]
    assert (one["starts_now"], one["kernels"], one["position"]) == (False, [], 1)
    assert one["reason"]["code"] == "not-enough-resources"
    assert one["reason"]["violations"][0]["slot"] == "cpu"
    after = (await admin.get("/v1/sessions?limit=1")).json()["total"]
    assert after == before + 1
    await finished(stack, admin, running)


async def test_what_creation_refuses_a_simulation_refuses_alike(admin, agent):
    for wrong in (
        {"image": "unheard-of"},
        {"resources": {"cpu": 10_000}},
        {"resources": {"cpu": "many"}},
        {"mounts": [{"folder": "x"}]},
        {"priority": 101, "cluster_size": 0},
        {"colour": "red"},
    ):
        body = batch(**wrong)
        real = await admin.post("/v1/sessions", json=body)
        dry = await admin.post("/v1/sessions/simulate", json=body)
        assert real.status_code in {400, 422}, real.text
        assert dry.status_code == real.status_code
        said = [answer.json() for answer in (dry, real)]
        for problem in said:
            del problem["request_id"]
        assert said[0] == said[1]
