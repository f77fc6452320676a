"""Resource groups as the scheduler has them: what a change does to the queue, and what stays."""

import asyncio

from shared.contracts.base import Accepted, Rejected
from shared.contracts.policies import SettingChanged
from shared.contracts.scheduler import (
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
)
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from tests.scheduler.integration.fake_node import FakeNode

WHOLE = {"cpu": 4000}


async def changed(world, name="default", **fields):
    reply = await world.send(ChangeResourceGroup(name=name, **fields))
    assert isinstance(reply, Accepted), reply
    return reply


def code(reply):
    assert isinstance(reply, Rejected), reply
    return reply.rejection.code


async def order(world):
    return [entry.session_id for entry in (await world.queue()).entries]


async def test_another_scheduler_orders_the_queue_anew_at_once_and_for_ever(world, node):
    (first,) = await world.enqueued("first", resources=WHOLE)
    spec = await node.run(first)
    waiting = [(await world.enqueued(name, resources=WHOLE))[0] for name in ("a", "b", "c")]
    assert await order(world) == waiting
    await changed(world, scheduler="lifo")
    assert await order(world) == waiting[::-1]
    await world.service.kill()
    await world.service.start()
    assert await order(world) == waiting[::-1]
    await node.report(spec, "terminated", exit_code=0)
    await node.spec(waiting[-1])
    await changed(world, scheduler="fifo")
    assert await order(world) == waiting[:2]


async def test_a_deactivated_group_takes_nothing_and_goes_on_when_it_is_active_again(world, node):
    (running,) = await world.enqueued("running", resources=WHOLE)
    spec = await node.run(running)
    (waiting,) = await world.enqueued("waiting", resources=WHOLE)
    await changed(world, is_active=False)
    assert code(await world.enqueue("refused", resource_group="default")) == (
        "resource_group_inactive"
    )
    assert code(await world.enqueue("nowhere")) == "no_resource_group"
    await node.report(spec, "terminated", exit_code=0)
    await world.event(running, "SessionTerminated")
    (entry,) = (await world.queue()).entries
    assert (entry.session_id, entry.reason.code) == (waiting, "group-inactive")
    await changed(world, is_active=True)
    await node.spec(waiting)


async def test_the_same_command_twice_makes_one_group_and_says_the_same(world):
    name, key = new_id(), CommandKey(new_id(), "digest")
    replies = await asyncio.gather(
        *(world.send(CreateResourceGroup(name=name), key) for _ in range(4))
    )
    assert {type(reply) for reply in replies} == {Accepted}
    assert len(await world.types_of_stream(f"resource-group-{name}")) == 1
    assert code(await world.send(CreateResourceGroup(name=name))) == "resource_group_exists"
    assert isinstance(await world.send(DeleteResourceGroup(name=name)), Accepted)


async def test_a_group_without_a_scheduler_has_the_one_of_the_settings(world):
    await world.policies.say(SettingChanged(setting="scheduler.type", value="drf"))
    name = new_id()

    async def made():
        await world.send(DeleteResourceGroup(name=name))
        await world.send(CreateResourceGroup(name=name))
        (*_, created) = await world.database.fetch(
            "select data->>'scheduler' as scheduler from events"
            " where stream = $1 and type = 'ResourceGroupCreated' order by version",
            f"resource-group-{name}",
        )
        return created["scheduler"] == "drf"

    await world.until(made)
    await world.policies.say(SettingChanged(setting="scheduler.type", value="fifo"))


async def test_sessions_and_agents_keep_their_group_from_being_deleted(world):
    name = new_id()
    assert isinstance(await world.send(CreateResourceGroup(name=name)), Accepted)
    node = FakeNode(world, f"agent-of-{name}", group=name)
    await node.connect()
    (session_id,) = await world.enqueued("kept", resource_group=name)
    spec = await node.run(session_id)
    reply = await world.send(DeleteResourceGroup(name=name))
    assert code(reply) == "resource_group_in_use"
    assert reply.rejection.details["references"] == [
        {"type": "agent", "id": node.agent_id},
        {"type": "session", "id": session_id},
    ]
    await node.report(spec, "terminated", exit_code=0)
    await world.event(session_id, "SessionTerminated")
    assert code(await world.send(DeleteResourceGroup(name=name))) == "resource_group_in_use"
    await node.be_lost()

    async def deleted():
        return isinstance(await world.send(DeleteResourceGroup(name=name)), Accepted)

    await world.until(deleted)
    await world.service.kill()
    await world.service.start()
    assert code(await world.send(DeleteResourceGroup(name=name))) == "resource_group_not_found"
    assert code(await world.enqueue("late", resource_group=name)) == "resource_group_not_found"
