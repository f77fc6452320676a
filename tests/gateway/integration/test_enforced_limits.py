"""A policy that was changed holds for the very next request, and lets start what waited for it."""

import asyncio

import pytest_asyncio

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.test_sessions import SMALL, batch

TURNS = 20


@pytest_asyncio.fixture(loop_scope="session")
async def bound(admin, person, agent):
    """A policy of one person alone: its path, and a client of that person."""
    made, client = person
    name = f"p{new_id()[-12:]}"
    answer = await admin.post("/v1/keypair-policies", json={"name": name})
    assert answer.status_code == 201, answer.text
    path = f"/v1/keypairs/{made['main_access_key']}"
    answer = await admin.patch(path, json={"resource_policy": name})
    assert answer.status_code == 200, answer.text
    return f"/v1/keypair-policies/{name}", client


async def change(admin, policy, **limits):
    answer = await admin.patch(policy, json=limits)
    assert answer.status_code == 200, answer.text


async def made(client, **more):
    answer = await client.post("/v1/sessions", json=batch(**more))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def status_of(client, session_id):
    return (await client.get(f"/v1/sessions/{session_id}")).json()["status"]


async def starts(client, session_id):
    await eventually(lambda: status_of(client, session_id), lambda found: found == "SCHEDULED")


async def finished(stack, client, *session_ids):
    for session_id in session_ids:
        await starts(client, session_id)
        await stack.end((await client.get(f"/v1/sessions/{session_id}")).json())


async def test_each_change_holds_for_the_very_next_request(stack, admin, bound):
    policy, client = bound
    for turn in range(TURNS):
        await change(admin, policy, max_priority=turn)
        answer = await client.post("/v1/sessions", json=batch(priority=turn + 1))
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert problem["code"] == "quota_exceeded"
        assert [error["field"] for error in problem["errors"]] == ["priority"]
        assert problem["violations"][0]["limit"] == str(turn)
        await change(admin, policy, max_priority=turn + 1)
        await finished(stack, client, await made(client, priority=turn + 1))


async def test_of_ten_at_once_as_many_start_as_may_and_the_others_when_they_may(
    stack, admin, bound
):
    policy, client = bound
    await change(admin, policy, max_concurrent_sessions=2)
    tiny = {"cpu": "0.1", "mem": "32m"}
    ids = await asyncio.gather(*(made(client, resources=tiny) for _ in range(6)))

    async def total(status):
        return (await client.get(f"/v1/sessions?status={status}")).json()["total"]

    await eventually(lambda: total("SCHEDULED"), lambda found: found == 2)
    assert await total("PENDING") == 4
    await change(admin, policy, max_concurrent_sessions=5)
    await eventually(lambda: total("SCHEDULED"), lambda found: found == 5)
    waiting = [one for one in ids if await status_of(client, one) == "PENDING"]
    (last,) = waiting

    async def reason():
        return (await client.get(f"/v1/sessions/{last}")).json()["reason"]

    def is_by_the_new_limit(found):
        return found and found["code"] == "over-limit" and found["violations"][0]["limit"] == "5"

    await eventually(reason, is_by_the_new_limit)
    await finished(stack, client, *(one for one in ids if one != last), last)


async def test_what_waits_may_be_bounded_in_number(stack, admin, bound):
    policy, client = bound
    await change(admin, policy, max_concurrent_sessions=0, max_pending_session_count=1)
    waits = await made(client, resources=SMALL)
    answer = await client.post("/v1/sessions", json=batch())
    assert answer.json()["errors"][0]["field"] == "count"
    await change(admin, policy, max_pending_session_count=None, max_concurrent_sessions=None)
    await finished(stack, client, waits)
