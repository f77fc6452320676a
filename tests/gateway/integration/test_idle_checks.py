"""What may end a session by itself, for whoever may see it; and what counts as using it."""

from datetime import UTC, datetime

import pytest_asyncio

from services.scheduler.idle_watch import STREAM_HOLDS_S
from shared.contracts.kernels import KernelUsage
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.people import refused
from tests.gateway.integration.test_session_life import becomes, get, made, policy
from tests.gateway.integration.test_sessions import finished, placed

__all__ = ["policy"]


@pytest_asyncio.fixture(loop_scope="session")
async def rules(admin):
    """Give what changes the settings of idleness, for one test."""

    async def change(**values):
        answer = await admin.patch("/v1/settings", json={"idle": values})
        assert answer.status_code == 200, answer.text
        assert answer.json()["idle"].items() >= values.items()

    yield change
    assert (await admin.post("/v1/settings/reset")).status_code == 200


async def checks(client, session):
    return {one["check"]: one for one in (await get(client, session["id"]))["idle_checks"]}


async def test_an_interactive_session_shows_how_long_nobody_has_used_it_and_ends_then(
    stack, admin, person, policy, rules
):
    client = person[1]
    session = await made(client, type="interactive")
    assert session.get("idle_checks") is None  # nothing that lists would tell
    await stack.run(await placed(client, session))
    await becomes(client, session, status="RUNNING", idle_checks=[])
    await rules(network_timeout_enabled=True, network_timeout=3600)
    first = (await checks(client, session))["network_timeout"]
    assert first["detail"]["limit_s"] == 3600
    assert 3500 < first["remaining_s"] <= 3600

    async def used():
        await client.get(f"/v1/sessions/{session['id']}/logs")
        return (await checks(client, session))["network_timeout"]

    later = await eventually(used, lambda found: found["ends_at"] > first["ends_at"])
    assert later["detail"]["last_used_at"] > first["detail"]["last_used_at"]
    listed = (await client.get("/v1/sessions", params={"id": session["id"]})).json()["items"]
    assert "idle_checks" not in listed[0]
    assert (await admin.patch(policy, json={"idle_timeout": 1})).status_code == 200
    over = await becomes(client, session, status="TERMINATING", status_info="idle-timeout")
    assert over["idle_checks"] == []
    await stack.end(over, exit_code=143)
    await becomes(client, session, status="TERMINATED", result="undefined")


async def test_whoever_follows_its_log_keeps_a_session(stack, person, agent, rules):
    client = person[1]
    session = await made(client, type="interactive")
    await stack.run(await placed(client, session))
    await becomes(client, session, status="RUNNING")
    await rules(network_timeout_enabled=True, network_timeout=3600)

    async def check():
        return (await checks(client, session))["network_timeout"]

    async with client.stream("GET", f"/v1/sessions/{session['id']}/logs?follow=true"):
        # an open stream counts for longer than the moment in which it was told of
        held = await eventually(check, lambda found: found["remaining_s"] > 3600)
    assert held["remaining_s"] <= 3600 + STREAM_HOLDS_S
    await finished(stack, client, session)


async def test_a_session_shows_what_it_uses_of_what_it_must(stack, admin, agent, person, rules):
    client = person[1]
    session = await made(client)
    running = await placed(client, session)
    await stack.run(running)
    await rules(
        utilization_enabled=True,
        utilization_grace=0,
        utilization_operator="or",
        utilization_cpu=5,
        utilization_gpu=10,
    )

    async def measured():
        told = KernelUsage(
            session_id=session["id"],
            kernel_id=running["kernels"][0]["id"],
            at=datetime.now(tz=UTC),
            cpu_percent=2.5,
        )
        await stack.beat(agent, usage=(told,))
        return (await checks(client, session)).get("utilization", {"detail": {}})

    found = await eventually(measured, lambda one: one["detail"].get("measured_percent"))
    assert found["detail"]["measured_percent"] == {"cpu": 25}
    assert found["detail"]["thresholds_percent"] == {"cpu": 5, "gpu": 10}
    assert (found["detail"]["operator"], found["ends_at"]) == ("or", None)
    assert found["detail"]["judged_from"] > datetime.now(tz=UTC).isoformat()
    page = await admin.get(f"/console/sessions/{session['id']}/checks")
    assert "CPU 25.0 %, at least 5 %" in page.text
    await stack.services["scheduler"].stop()
    try:
        assert (await get(client, session["id"]))["idle_checks"] is None
    finally:
        await stack.services["scheduler"].start()
    await finished(stack, client, session)


async def test_a_threshold_is_a_part_of_a_hundred(admin, rules):
    for wrong, code in ((101, "out_of_range"), ("5", "wrong_type")):
        answer = await admin.patch("/v1/settings", json={"idle": {"utilization_cpu": wrong}})
        assert refused(answer, 422) == {"idle.utilization_cpu": code}
