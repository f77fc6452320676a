"""The scheduler as its peers see it, with nodes made of messages."""

import asyncio

import msgspec

from shared.contracts.agents import AgentSchedulableSet, AgentTerminated
from shared.contracts.base import Accepted, Rejected
from shared.contracts.kernels import KernelPresence, KernelSpec
from shared.contracts.scheduler import QueueChanged
from shared.contracts.subjects import queue_subject
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.messaging import telemetry
from shared.security.environ import open_on_node, seal_environ
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import USER


def refusal(reply):
    assert isinstance(reply, Rejected), reply
    return reply.rejection


async def gone(node, session_id):
    world = node.world

    async def look():
        return session_id not in await node.specs()

    await world.until(look)


async def test_a_session_runs_from_the_queue_to_success(world, node):
    environ = seal_environ(world.keyring, USER, {"TOKEN": "secret"})
    (session_id,) = await world.enqueued("whole", environ=environ, command=("sh", "-c", "true"))
    spec = await node.run(session_id)
    assert (spec.goal, spec.attempt, spec.command) == ("running", 1, ("sh", "-c", "true"))
    assert (spec.hostname, spec.resources) == ("main1", {"cpu": 1000})
    assert spec.incarnation == node.incarnation
    key = world.keyring.node_key(node.agent_id)
    assert open_on_node(key, spec.kernel_id, spec.environ) == {"TOKEN": "secret"}
    await node.report(spec, "terminated", exit_code=0)
    assert await world.types_of(session_id) == [
        "SessionEnqueued",
        "SessionScheduled",
        "SessionPreparing",
        "KernelStarted",
        "SessionStarted",
        "KernelTerminated",
        "SessionTerminated",
    ]
    end = await world.event(session_id, "SessionTerminated")
    assert (end["result"], end["exit_code"], end["reason"]) == ("success", 0, "task-finished")
    await gone(node, session_id)


async def test_a_node_is_told_whether_sessions_can_be_placed_on_it(world, node):
    assert isinstance(await node.report(None), Accepted)
    stranger = FakeNode(world, "never-seen")
    assert refusal(await stranger.report(None)).code == "agent_unknown"


async def test_reports_may_be_repeated_for_ever(world, node):
    (session_id,) = await world.enqueued("repeated")
    spec = await node.run(session_id)
    await node.report(spec, "preparing", "running")
    await node.report(spec, "terminated", exit_code=1)
    before = await world.types_of(session_id)
    for phase in ("running", "terminated", "failed"):
        assert isinstance(await node.report(spec, phase), Accepted)
    assert await world.types_of(session_id) == before


async def test_a_pending_session_is_cancelled_and_a_running_one_is_stopped(world, node):
    (running,) = await world.enqueued("big", resources={"cpu": 4000})
    (pending,) = await world.enqueued("waits")
    await node.run(running)
    assert isinstance(await world.terminate(pending), Accepted)
    assert (await world.types_of(pending))[-1] == "SessionCancelled"
    assert isinstance(await world.terminate(running, grace_s=3), Accepted)
    spec = await node.spec(running, "stopped")
    assert (spec.grace_s, spec.forced) == (3, False)
    await node.report(spec, "terminated", exit_code=143)
    end = await world.event(running, "SessionTerminated")
    assert (end["reason"], end["result"]) == ("user-requested", "undefined")
    assert isinstance(await world.terminate(running), Accepted)
    await gone(node, running)


async def test_who_was_never_there_cannot_be_terminated(world):
    assert refusal(await world.terminate("nobody")).kind == "not_found"


async def test_the_queue_tells_order_position_and_reason(world, node):
    told = []
    news = asyncio.Event()

    async def hear(message):
        told.append(message)
        news.set()

    subject = queue_subject("default")
    subscription = await telemetry.subscribe(world.client, subject, QueueChanged, hear)
    (runs,) = await world.enqueued("runs", resources={"cpu": 3000})
    (first,) = await world.enqueued("first", resources={"cpu": 3000})
    (second,) = await world.enqueued("second", resources={"cpu": 2000})
    (urgent,) = await world.enqueued("urgent", resources={"cpu": 4000}, priority=20)
    queue = await world.queue()
    assert [entry.session_id for entry in queue.entries] == [urgent, first, second]
    assert [entry.position for entry in queue.entries] == [1, 2, 3]
    assert queue.total == 3
    head = queue.entries[0].reason
    assert head.code == "not-enough-resources"
    assert (head.violations[0].slot, head.violations[0].short_by) == ("cpu", "3")
    assert all(entry.reason.code for entry in queue.entries)
    page = await world.queue(offset=1, limit=1)
    assert [(entry.session_id, entry.position) for entry in page.entries] == [(first, 2)]
    async with asyncio.timeout(20):
        while not told or [entry.session_id for entry in told[-1].entries] != [
            urgent,
            first,
            second,
        ]:
            news.clear()
            await news.wait()
    await subscription.unsubscribe()
    spec = await node.run(runs)
    await node.report(spec, "terminated", exit_code=0)
    assert "SessionScheduled" in await world.types_of(urgent)


async def test_what_is_wrong_is_refused_and_changes_nothing(world, node):
    head = await world.database.fetchval("select position from log_head")
    for wrong, field, code in (
        ({"image": "nowhere"}, "image", "image_not_found"),
        ({"resource_group": "nowhere"}, "resource_group", "resource_group_not_found"),
        ({"resources": {"cpu": 5000}}, "resources.cpu", "no_agent_could_hold"),
        ({"resources": {}}, "resources", "required"),
        ({"name": "a b"}, "name", "session_name"),
        ({"environ": "1.AAAA"}, "environ", "does_not_open"),
        ({"project_id": "other"}, "project", "project_not_found"),
        ({"count": 10_001}, "count", "out_of_range"),
    ):
        values = {"name": "wrong", **wrong}
        rejection = refusal(await world.enqueue(**values))
        assert rejection.kind == "invalid"
        assert [(error.field, error.code) for error in rejection.errors] == [(field, code)]
    assert await world.database.fetchval("select position from log_head") == head


async def test_a_name_is_free_again_when_its_session_has_ended(world, node):
    (session_id,) = await world.enqueued("named")
    rejection = refusal(await world.enqueue("named"))
    assert (rejection.kind, rejection.code) == ("conflict", "session_name_taken")
    spec = await node.run(session_id)
    await node.report(spec, "terminated", exit_code=0)
    await world.enqueued("named")


async def test_an_array_is_one_command_with_one_answer(world, node):
    key = CommandKey("array-key", "digest")
    first = await world.enqueue("array", count=5, key=key)
    again = await world.enqueue("array", count=5, key=key)
    assert isinstance(first, Accepted)
    assert first.result == again.result
    world.session_ids.extend(first.result["session_ids"])
    assert len(set(first.result["session_ids"])) == 5
    rows = await world.database.fetch(
        "select data->>'name' as name from events where type = 'SessionEnqueued'"
        " and data->>'name' like 'array-%' order by position"
    )
    assert [row["name"] for row in rows] == [f"array-{number}" for number in range(5)]
    other = await world.enqueue("array", key=CommandKey("array-key", "other"))
    assert refusal(other).code == "idempotency_mismatch"


async def test_a_kernel_that_its_node_no_longer_knows_is_lost(world, node):
    (session_id,) = await world.enqueued("vanishes")
    spec = await node.run(session_id)
    await node.beat(spec)
    await node.beat()
    await node.beat()
    end = await world.event(session_id, "SessionTerminated")
    assert (end["reason"], end["result"], end["exit_code"]) == ("kernel-lost", "failure", None)
    await gone(node, session_id)


async def test_a_kernel_that_nobody_booked_is_stopped_and_then_forgotten(world, node):
    stray = KernelPresence(session_id="ghost", kernel_id="ghost-kernel", attempt=1, phase="running")
    await node.beat(stray)
    spec = await node.spec("ghost", "stopped")
    assert isinstance(spec, KernelSpec)
    assert (spec.kernel_id, spec.forced) == ("ghost-kernel", True)
    await node.beat()
    await gone(node, "ghost")


async def test_what_a_node_has_not_heard_of_is_said_again(world, node):
    (session_id,) = await world.enqueued("unheard")
    spec = await node.spec(session_id)
    bucket = await world.client.jetstream().key_value("desired")
    await bucket.purge(f"{node.agent_id}.{spec.kernel_id}")
    assert session_id not in await node.specs()
    await node.beat()
    await node.beat()
    assert (await node.spec(session_id)).kernel_id == spec.kernel_id


async def waiting_for(world, code, **more):
    """Enqueue a session that waits for this reason; return its id.

    One that came before the scheduler had heard of the reason makes room for the next.
    """

    async def waits():
        (session_id,) = await world.enqueued(f"waits-{new_id()}", **more)
        entries = (await world.queue()).entries
        if [(each.session_id, each.reason.code) for each in entries] == [(session_id, code)]:
            return session_id
        await world.terminate(session_id, forced=True)
        return None

    return await world.until(waits)


async def test_sessions_stay_while_an_agent_is_lost_and_nothing_new_goes_there(world, node):
    (session_id,) = await world.enqueued("stays")
    spec = await node.run(session_id)
    await node.be_lost()

    later = await waiting_for(world, "no-agent-alive")
    assert "SessionTerminated" not in await world.types_of(session_id)
    await node.revive()
    await world.event(later, "SessionScheduled")
    await node.report(spec, "terminated", exit_code=0)
    assert (await world.event(session_id, "SessionTerminated"))["result"] == "success"


async def test_what_runs_stays_on_a_closed_agent_and_what_is_bound_to_it_waits(world, node):
    (runs,) = await world.enqueued("runs")
    spec = await node.run(runs)
    free = await FakeNode(world, "free").connect()
    closed = AgentSchedulableSet(agent_id=node.agent_id, schedulable=False)
    await world.agents.say(closed)
    bound = await waiting_for(world, "designated-agents-away", designated_agents=(node.agent_id,))
    assert await node.spec(runs) == spec
    await world.agents.say(msgspec.structs.replace(closed, schedulable=True))
    await world.event(bound, "SessionScheduled")
    assert (await world.types_of(runs))[-1] == "SessionStarted"
    await world.agents.say(AgentTerminated(agent_id=free.agent_id, reason="stopped"))


async def test_a_new_incarnation_never_inherits_kernels(world, node):
    (running,) = await world.enqueued("inherited")
    (reserved,) = await world.enqueued("reserved")
    spec = await node.run(running)
    await node.spec(reserved)
    old = node.incarnation
    await node.forget_everything()
    end = await world.event(running, "SessionTerminated")
    assert (end["reason"], end["result"]) == ("agent-lost", "failure")
    assert (await world.event(reserved, "SessionFailed"))["reason"] == "agent-lost"
    await gone(node, running)
    (fresh,) = await world.enqueued("fresh")
    assert (await node.spec(fresh)).incarnation != old
    assert isinstance(await node.report(spec, "terminated", exit_code=0), Accepted)
    assert (await world.types_of(running)).count("KernelTerminated") == 1


async def test_a_cluster_over_two_nodes_starts_and_ends_together(world, node):
    other = await FakeNode(world, f"{node.agent_id}-2").connect()
    (session_id,) = await world.enqueued(
        "cluster",
        resources={"cpu": 3000},
        cluster_size=2,
        cluster_mode="multi-node",
        session_type="interactive",
        command=None,
    )
    specs = {one.agent_id: await one.run(session_id) for one in (node, other)}
    await world.event(session_id, "SessionStarted")
    main = next(name for name, spec in specs.items() if spec.hostname == "main1")
    for one in sorted((node, other), key=lambda one: one.agent_id != main):
        await one.report(specs[one.agent_id], "terminated", exit_code=0)
    end = await world.event(session_id, "SessionTerminated")
    assert (end["reason"], end["result"]) == ("self-terminated", "success")
    await other.be_lost()
