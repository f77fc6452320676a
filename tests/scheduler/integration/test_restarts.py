"""A session starts anew where it is: told by messages, and whatever dies in between."""

from shared.contracts.base import Accepted, Rejected
from shared.contracts.scheduler import RestartSession

STOPPED = {"exit_code": 143, "reason": "user-requested"}


async def restart(world, session_id, grace_s=7):
    return await world.send(RestartSession(session_id=session_id, grace_s=grace_s))


async def running(world, node, name="service"):
    (session_id,) = await world.enqueued(name, session_type="interactive")
    return session_id, await node.run(session_id)


async def until_types(world, session_id, *last):
    async def look():
        return (await world.types_of(session_id))[-len(last) :] == list(last)

    await world.until(look)


async def until_follower(node, session_id, former):
    """Wait for the kernel that follows, and for the former one to be nobody's business."""

    async def look():
        specs = [
            spec
            for key, spec in (await node.world.desired.all()).items()
            if key.startswith(f"{node.agent_id}.") and spec.session_id == session_id
        ]
        fits = len(specs) == 1 and specs[0].kernel_id != former.kernel_id
        return specs[0] if fits and specs[0].goal == "running" else None

    return await node.world.until(look)


async def test_a_session_is_stopped_and_started_again_at_its_place(world, node):
    session_id, former = await running(world, node)
    # whatever is free goes to somebody else, and what is being restarted is not
    (rest,) = await world.enqueued("rest", resources={"cpu": 3000})
    (greedy,) = await world.enqueued("greedy", resources={"cpu": 1000})
    await node.run(rest)
    assert isinstance(await restart(world, session_id), Accepted)
    order = await node.spec(session_id, goal="stopped")
    assert (order.kernel_id, order.attempt, order.grace_s) == (former.kernel_id, 1, 7)
    await node.report(order, "terminated", **STOPPED)
    latter = await until_follower(node, session_id, former)
    assert (latter.attempt, latter.hostname, latter.resources) == (2, "main1", former.resources)
    # a heartbeat from before is no news
    await node.beat(former)
    await node.report(latter, "preparing", "running")
    assert await world.types_of(session_id) == [
        "SessionEnqueued",
        "SessionScheduled",
        "SessionPreparing",
        "KernelStarted",
        "SessionStarted",
        "SessionRestarting",
        "KernelTerminated",
        "SessionRestarted",
        "SessionPreparing",
        "KernelStarted",
        "SessionStarted",
    ]
    assert await world.types_of(greedy) == ["SessionEnqueued"]


async def test_what_does_not_run_is_not_restarted(world, node):
    session_id, spec = await running(world, node)
    (waiting,) = await world.enqueued("waiting", resources={"cpu": 4000})
    await node.report(spec, "terminated", exit_code=0)
    for one, code in ((waiting, "not_running"), (session_id, "not_running"), ("x", None)):
        refusal = await restart(world, one)
        assert isinstance(refusal, Rejected)
        assert refusal.rejection.code == (code or "session_not_found")


async def test_an_agent_that_forgets_everything_meanwhile_ends_the_session(world, node):
    session_id, _ = await running(world, node)
    await restart(world, session_id)
    await node.spec(session_id, goal="stopped")
    await node.forget_everything()
    over = await world.event(session_id, "SessionTerminated")
    assert (over["reason"], over["result"]) == ("agent-lost", "failure")


async def test_a_session_can_be_terminated_while_it_restarts(world, node):
    session_id, _ = await running(world, node)
    await restart(world, session_id)
    order = await node.spec(session_id, goal="stopped")
    assert isinstance(await world.terminate(session_id), Accepted)
    await node.report(order, "terminated", **STOPPED)
    await until_types(
        world, session_id, "SessionTerminating", "KernelTerminated", "SessionTerminated"
    )


async def test_kill_9_of_the_scheduler_at_any_step_of_a_restart_loses_nothing(world, node):
    session_id, former = await running(world, node)
    await restart(world, session_id)
    await world.service.kill()
    await world.service.start()
    order = await node.spec(session_id, goal="stopped")
    await node.report(order, "terminated", **STOPPED)
    await world.service.kill()
    await world.service.start()
    latter = await until_follower(node, session_id, former)
    await node.report(latter, "preparing", "running")
    # the node dies and comes back: what it says again is known already
    await node.report(order, "terminated", **STOPPED)
    await node.report(latter, "preparing", "running")
    await world.service.kill()
    await world.service.start()
    assert isinstance(await restart(world, session_id, grace_s=0), Accepted)
    types = await world.types_of(session_id)
    assert types.count("SessionRestarted") == 1
    assert types.count("KernelStarted") == 2
    again = await node.spec(session_id, goal="stopped")
    assert (again.kernel_id, again.attempt, again.grace_s) == (latter.kernel_id, 2, 0)
