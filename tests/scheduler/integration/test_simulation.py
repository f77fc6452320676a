"""Simulated submissions as the gateway asks for them: like real ones, but nothing happens."""

import asyncio

import msgspec

from shared.contracts.base import Accepted, Rejected
from shared.contracts.scheduler import EnqueueSession, SimulateSession, Simulation
from tests.scheduler.integration.harness import PROJECT, USER


async def simulated(world, **more):
    values = {
        "name": "what-if",
        "session_type": "batch",
        "user_id": USER,
        "access_key": None,
        "domain": "default",
        "project_id": PROJECT,
        "image": "img",
        "resources": {"cpu": 1000},
        "command": ("true",),
        **more,
    }
    reply = await world.send(SimulateSession(enqueue=EnqueueSession(**values)))
    if isinstance(reply, Rejected):
        return reply.rejection
    assert isinstance(reply, Accepted), reply
    return msgspec.convert(reply.result, Simulation)


async def log_of(world):
    return await world.database.fetchval("select count(*) from events")


async def test_a_simulation_tells_where_sessions_would_start_and_leaves_nothing_behind(world, node):
    before, queue = await log_of(world), await world.queue()
    found = await simulated(world, count=2, resources={"cpu": 1000})
    assert (found.resource_group, found.total, found.starting_now) == ("default", 2, 2)
    assert [one.name for one in found.sessions] == ["what-if-0", "what-if-1"]
    for one in found.sessions:
        assert (one.starts_now, one.position, one.reason) == (True, None, None)
        (kernel,) = one.kernels
        assert (kernel.hostname, kernel.agent_id) == ("main1", node.agent_id)
    assert (await log_of(world), await world.queue()) == (before, queue)


async def test_a_simulation_tells_what_a_session_would_wait_for_and_then_it_does(world, node):
    (running,) = await world.enqueued("big", resources={"cpu": 4000})
    spec = await node.run(running)
    (first,) = await world.enqueued("first", resources={"cpu": 2000})
    found = await simulated(world, count=150)
    assert (found.total, found.starting_now, len(found.sessions)) == (150, 0, 100)
    one = found.sessions[0]
    assert (one.starts_now, one.position) == (False, 2)
    (second,) = await world.enqueued("second")
    entry = (await world.queue()).entries[1]
    assert (entry.session_id, entry.reason) == (second, one.reason)
    later = await simulated(world, depends_on=(running,))
    assert later.sessions[0].reason.code == "waits-for-dependencies"
    assert later.sessions[0].position == 3
    for session_id in (first, second):
        await world.terminate(session_id)
    await node.report(spec, "terminated", exit_code=0)


async def test_a_start_is_estimated_from_how_long_sessions_have_run(world, node):
    for number in range(8):
        (session_id,) = await world.enqueued(f"short-{number}")
        spec = await node.run(session_id)
        await node.report(spec, "terminated", exit_code=0)
    (running,) = await world.enqueued("big", resources={"cpu": 4000})
    spec = await node.run(running)
    (one,) = (await simulated(world, resources={"cpu": 4000})).sessions
    assert one.starts_now is False
    estimate = one.estimated_start
    assert estimate is not None
    assert estimate.low <= estimate.likely <= estimate.high
    await node.report(spec, "terminated", exit_code=0)


async def test_what_would_be_refused_is_refused_in_a_simulation_alike(world, node):
    for wrong in (
        {"image": "unheard-of"},
        {"resources": {"cpu": 10**9}},
        {"count": 0, "priority": 101},
        {"resource_group": "nowhere"},
    ):
        reply = await world.enqueue("what-if", **wrong)
        assert isinstance(reply, Rejected), reply
        assert await simulated(world, **wrong) == reply.rejection
    before = await log_of(world)
    answers = await asyncio.gather(*(simulated(world) for _ in range(20)))
    assert all(answer.starting_now == 1 for answer in answers)
    assert await log_of(world) == before
