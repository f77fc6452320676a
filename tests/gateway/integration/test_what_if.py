"""`POST /v1/resource-groups/{name}/what-if`: a recorded period under other options."""

import asyncio
from datetime import UTC, datetime

import asyncpg

from shared.kernel.ids import new_id
from tests.gateway.integration.people import refused
from tests.gateway.integration.test_bulk import ended
from tests.gateway.integration.test_sessions import batch, finished

PATH = "/v1/resource-groups/default/what-if"
WHOLE = {"cpu": 4, "mem": "256m"}


def now():
    return datetime.now(tz=UTC).isoformat().replace("+00:00", "Z")


async def compared(client, **body):
    """Ask, and follow the task if it takes longer than an answer may."""
    answer = await client.post(PATH, json=body)
    if answer.status_code == 202:
        task = await ended(client, answer.json()["task_id"])
        assert task["status"] == "done", task
        return task["result"]
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_period_is_compared_with_what_would_have_been(stack, admin, agent):
    since = now()
    first, second = [
        (await admin.post("/v1/sessions", json=batch(resources=WHOLE))).json() for _ in range(2)
    ]
    await finished(stack, admin, first, second)
    found = await compared(admin, **{"from": since}, agents={"add": 1}, scheduler="lifo")
    assert found["resource_group"] == "default"
    assert found["from"][:19] == since[:19]
    assert found["changes"]["scheduler"] == "lifo"
    assert found["agents"]["what_if"] == found["agents"]["recorded"] + 1
    assert found["carried_over"] == {"running": 0, "waiting": 0}
    for column in ("recorded", "replayed", "what_if"):
        figures = found[column]
        assert (figures["sessions"], figures["started"]) == (2, 2)
        assert figures["users"][0]["user_id"] == first["user_id"]
        assert 0 < figures["utilisation"]["cpu"] <= 1
    assert found["recorded"]["waiting"]["max_s"] > 0
    assert found["replayed"]["waiting"]["max_s"] > 0
    assert found["what_if"]["waiting"]["max_s"] == 0
    assert {note["code"] for note in found["notes"]} >= {"limits-as-now"}


async def test_what_takes_longer_is_a_task_that_can_be_cancelled(stack, admin, agent):
    held = await asyncpg.connect(stack.databases.as_admin(stack.urls["scheduler"]))
    since = now()
    key = {"Idempotency-Key": new_id()}
    try:
        async with held.transaction():
            # nobody reads the log for as long as this lasts
            await held.execute("lock table scheduler.events in access exclusive mode")
            answers = await asyncio.gather(
                admin.post(PATH, json={"from": since}, headers=key),
                admin.post(PATH, json={"from": since}, headers=key),
                admin.post(PATH, json={"from": since, "retries_to_skip": 0}),
            )
            assert [answer.status_code for answer in answers] == [202] * 3
            done, same, cancelled = (answer.json()["task_id"] for answer in answers)
            assert done == same
            asked = await admin.post(f"/v1/tasks/{cancelled}/cancel")
            assert asked.status_code == 200, asked.text
            task = await ended(admin, cancelled)
            assert (task["status"], task["result"]) == ("cancelled", {})
    finally:
        await held.close()
    task = await ended(admin, done)
    assert (task["status"], task["progress"]["done"]) == ("done", 100)
    assert task["result"]["recorded"]["sessions"] == 0


async def test_what_cannot_be_replayed_is_refused_by_the_field(admin, agent):
    async def wrong(status, path=PATH, **body):
        return refused(await admin.post(path, json=body), status)

    assert await wrong(422, **{"from": "yesterday"}) == {"from": "not_a_time"}
    assert await wrong(400, to=now()) == {"from": "required"}
    assert await wrong(422, **{"from": now(), "to": "2999-01-01T00:00:00Z"}) == {
        "to": "in_the_future",
        "from": "period_too_long",
    }
    assert await wrong(422, **{"from": "2020-01-01T00:00:00Z"}) == {"from": "period_too_long"}
    both = {"from": now(), "agents": {"add": 1, "scale": 2}}
    assert await wrong(422, **both) == {"agents": "one_of"}
    nowhere = "/v1/resource-groups/nowhere/what-if"
    refused(await admin.post(nowhere, json={"from": now()}), 404, "resource_group_not_found")
