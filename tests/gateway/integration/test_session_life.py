"""A session's life as its owner sees it: what it waits for, until when it may run, how it ends."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.test_sessions import batch, finished, placed

LATER = "2199-12-31T23:59:59Z"
TINY = {"cpu": "0.1", "mem": "32m"}


async def get(client, session_id):
    answer = await client.get(f"/v1/sessions/{session_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def made(client, **more):
    answer = await client.post("/v1/sessions", json=batch(resources=TINY, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def refused(client, **more):
    answer = await client.post("/v1/sessions", json=batch(resources=TINY, **more))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    return {error["field"]: error["code"] for error in problem["errors"]}, problem["code"]


async def becomes(client, session, **members):
    return await eventually(
        lambda: get(client, session["id"]),
        lambda found: {name: found[name] for name in members} == members,
    )


async def waits(client, session, code):
    return await eventually(
        lambda: get(client, session["id"]),
        lambda found: (found["reason"] or {}).get("code") == code,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def policy(admin, person, agent):
    name = f"p{new_id()[-12:]}"
    answer = await admin.post("/v1/keypair-policies", json={"name": name})
    assert answer.status_code == 201, answer.text
    path = f"/v1/keypairs/{person[0]['main_access_key']}"
    assert (await admin.patch(path, json={"resource_policy": name})).status_code == 200
    return f"/v1/keypair-policies/{name}"


async def test_who_starts_later_waits_with_the_time_as_the_reason(person, agent):
    client = person[1]
    later = await made(client, starts_at="2199-12-31T23:59:59+09:00")
    assert later["starts_at"] == "2199-12-31T14:59:59Z"
    found = await waits(client, later, "not-due-yet")
    assert found["reason"]["violations"][0]["requested"].startswith("2199-12-31T14:59:59")
    assert (found["status"], found["retries"]) == ("PENDING", 0)
    assert found["position"] >= 1
    assert (await client.delete(f"/v1/sessions/{later['id']}")).status_code == 204
    await becomes(client, later, status="CANCELLED", status_info="user-requested")


async def test_a_session_starts_when_its_time_has_come(stack, person, agent):
    client = person[1]
    soon = datetime.now(tz=UTC) + timedelta(seconds=1)
    session = await made(client, starts_at=soon.isoformat())
    found = await placed(client, session)
    assert datetime.fromisoformat(found["times"]["scheduled_at"]) >= soon
    await finished(stack, client, session)


@pytest.mark.parametrize("wrong", ["soon", "", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
async def test_a_start_that_is_no_time_is_refused(person, agent, wrong):
    assert await refused(person[1], starts_at=wrong) == (
        {"starts_at": "not_a_time"},
        "invalid_request",
    )


async def test_dependencies_are_named_by_id_or_by_name_also_when_they_have_ended(
    stack, person, agent
):
    client = person[1]
    over, alive = await made(client), await made(client)
    await finished(stack, client, over)
    names = [over["name"], over["id"], alive["name"]]
    waiting = await made(client, depends_on=names)
    assert waiting["depends_on"] == [over["id"], alive["id"]]
    found = await waits(client, waiting, "waits-for-dependencies")
    assert [one["scope"] for one in found["reason"]["violations"]] == [f"session:{alive['id']}"]
    await finished(stack, client, alive)
    await finished(stack, client, waiting)


async def test_what_a_failed_session_was_needed_for_is_cancelled_down_the_line(
    stack, person, agent
):
    client = person[1]
    first = await made(client)
    second = await made(client, depends_on=[first["name"]])
    third = await made(client, depends_on=[second["id"]], starts_at=LATER)
    await stack.end(await placed(client, first), exit_code=1)
    for session, culprit in ((second, first), (third, second)):
        found = await becomes(client, session, status="CANCELLED", status_info="dependency-failed")
        assert culprit["id"] in found["status_detail"]
    assert await refused(client, depends_on=[first["id"]]) == (
        {"depends_on.0": "dependency_failed"},
        "dependency_failed",
    )


async def test_only_sessions_of_ones_own_can_be_waited_for(person, admin, agent):
    client = person[1]
    others = await made(admin, starts_at=LATER)
    for name in (others["id"], others["name"], "nobody", new_id(), "", "x" * 5000):
        fields, code = await refused(client, depends_on=[name])
        assert (fields, code) == (
            {"depends_on.0": "dependency_not_found"},
            "dependency_not_found",
        )
    fields, _ = await refused(client, depends_on=["nobody"] * 101)
    assert fields == {"depends_on": "too_many"}
    await admin.delete(f"/v1/sessions/{others['id']}")


async def test_the_pending_timeout_of_the_group_counts_from_the_time_to_start(admin, person, agent):
    client = person[1]
    answer = await admin.patch("/v1/resource-groups/default", json={"pending_timeout": 1})
    assert answer.status_code == 200, answer.text
    waiting = await made(client, starts_at=LATER)
    huge = batch(resources={"cpu": 4, "mem": "8g"}, depends_on=[waiting["id"]])
    answer = await client.post("/v1/sessions", json=huge)
    assert answer.status_code == 201, answer.text
    await becomes(client, answer.json(), status="CANCELLED", status_info="pending-timeout")
    assert (await get(client, waiting["id"]))["status"] == "PENDING"
    answer = await admin.patch("/v1/resource-groups/default", json={"pending_timeout": None})
    assert answer.status_code == 200, answer.text
    await client.delete(f"/v1/sessions/{waiting['id']}")


async def test_a_lifetime_from_the_creation_is_shown_while_a_session_waits_and_ends_it(
    admin, person, policy
):
    client = person[1]
    session = await made(client, starts_at=LATER)
    lifetime = {"max_session_lifetime": 3600, "lifetime_base": "created"}
    changed = await admin.patch(policy, json=lifetime)
    assert changed.json()["lifetime_base"] == "created", changed.text
    begins = datetime.fromisoformat(session["starts_at"])
    shown = datetime.fromisoformat((await get(client, session["id"]))["expires_at"])
    assert shown - begins == timedelta(hours=1)
    blocked = await made(client, depends_on=[session["name"]])
    shown = datetime.fromisoformat((await get(client, blocked["id"]))["expires_at"])
    assert shown - datetime.fromisoformat(blocked["created_at"]) == timedelta(hours=1)
    await admin.patch(policy, json={"max_session_lifetime": 1})
    await becomes(client, blocked, status="CANCELLED", status_info="idle-session-lifetime")
    await admin.patch(policy, json={"lifetime_base": "started"})
    assert (await get(client, session["id"]))["expires_at"] is None
    assert (await client.delete(f"/v1/sessions/{session['id']}")).status_code == 204


async def test_a_running_session_shows_when_its_lifetime_is_over_and_ends_then(
    stack, admin, person, policy
):
    client = person[1]
    session = await made(client)
    assert session["expires_at"] is None
    await stack.run(await placed(client, session))
    running = await becomes(client, session, status="RUNNING", expires_at=None)
    began = datetime.fromisoformat(running["times"]["started_at"])
    for lifetime_s in (7200, 3600):
        answer = await admin.patch(policy, json={"max_session_lifetime": lifetime_s})
        assert answer.status_code == 200, answer.text
        shown = datetime.fromisoformat((await get(client, session["id"]))["expires_at"])
        assert shown - began == timedelta(seconds=lifetime_s)
    answer = await admin.patch(policy, json={"max_session_lifetime": 1})
    assert answer.status_code == 200, answer.text
    over = await becomes(client, session, status="TERMINATING", status_info="idle-session-lifetime")
    await stack.end(over, exit_code=143)
    await becomes(client, session, status="TERMINATED", expires_at=None, result="undefined")
