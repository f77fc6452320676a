"""What a session uses, from the heartbeats of its agent to whoever may see it."""

from datetime import UTC, datetime

from shared.contracts.kernels import KernelUsage
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.test_sessions import batch, finished, placed


async def stats(client, session):
    return await client.get(f"/v1/sessions/{session['id']}/stats")


async def test_what_a_session_uses_is_what_its_agent_told_last(stack, admin, agent, person):
    _, stranger = person
    made = (await admin.post("/v1/sessions", json=batch(type="interactive"))).json()
    session = await placed(admin, made)
    await stack.run(session)
    before = (await stats(admin, session)).json()
    assert before["why"]["code"] in {"not_running", "not_measured"}
    assert (before["cpu"], before["history"]) == (None, [])
    kernel = session["kernels"][0]["id"]

    async def measured():
        told = KernelUsage(
            session_id=session["id"],
            kernel_id=kernel,
            at=datetime.now(tz=UTC),
            cpu_percent=25.0,
            mem_bytes=2**26,
            pids=4,
        )
        await stack.beat(agent, usage=(told,))
        return (await stats(admin, session)).json()

    found = await eventually(measured, lambda it: it["why"] is None and it["status"] == "RUNNING")
    assert (found["cpu"]["used"], found["cpu"]["allotted"], found["cpu"]["percent"]) == (
        0.25,
        1,
        25,
    )
    assert (found["mem"]["used"], found["mem"]["percent"], found["pids"]) == (2**26, 25.0, 4)
    assert found["history"][-1]["cpu_used"] == 0.25
    assert (await stats(stranger, session)).status_code == 404
    assert (await admin.get("/v1/sessions/nobody/stats")).status_code == 404
    assert (await admin.get(f"/v1/sessions/{session['id']}/stats?x=1")).status_code == 400
    await finished(stack, admin, session)
    over = (await stats(admin, session)).json()
    assert (over["status"], over["why"]["code"]) == ("TERMINATED", "over")


async def test_open_pages_are_told_of_a_new_measurement_by_those_who_may_see_it(
    stack, admin, agent, person
):
    _, stranger = person
    made = (await admin.post("/v1/sessions", json=batch())).json()
    topic = f"/live?topics=stats:{made['id']}"
    assert (await stranger.get(topic)).status_code == 404
    async with admin.stream("GET", topic) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        told = KernelUsage(session_id=made["id"], kernel_id="k", at=datetime.now(tz=UTC))
        await stack.beat(agent, usage=(told,))
        assert f"event: stats:{made['id']}" in [line async for line in first(lines, "event:")]
    await finished(stack, admin, made)


async def first(lines, start):
    """Yield lines up to the first that begins so."""
    async for line in lines:
        yield line
        if line.startswith(start):
            return
