"""The registry on a real log: what is written, what is not, and when an agent is lost."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio

from services.agents.registry import Registry
from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfileChanged,
    ImageDiscovered,
    SetAgentSchedulable,
)
from shared.contracts.base import Accepted
from shared.eventlog.outcomes import CommandRepeated
from shared.eventlog.records import CommandKey, Write
from shared.testing.clock import START
from tests.agents.integration.ground import DEFAULT, META, heartbeat, open_ground, recorded


@pytest_asyncio.fixture(loop_scope="session")
async def ground(postgres):
    async with open_ground(postgres) as made:
        yield made


async def test_a_first_heartbeat_connects_the_agent_and_discovers_its_image(ground):
    await ground.registry.hear(heartbeat())
    connected, discovered = await ground.events()
    assert isinstance(connected, AgentConnected)
    assert isinstance(discovered, ImageDiscovered)
    assert discovered.canonical == "local/host:latest"


async def test_nothing_new_writes_nothing_even_over_a_restart(ground):
    for sequence in range(1, 6):
        await ground.registry.hear(heartbeat(sequence=sequence))
    await ground.registry.hear(heartbeat("b"))
    await ground.restart()
    await ground.registry.hear(heartbeat(sequence=9))
    assert await ground.kinds() == ["AgentConnected"]
    assert await ground.kinds("b") == ["AgentConnected"]
    assert len(await ground.events()) == 3


def labelled(sequence, agent_id="a", **labels):
    named = {f"ai.backend.resource.min.{slot}": amount for slot, amount in labels.items()}
    beat = heartbeat(agent_id, sequence)
    profile = msgspec.structs.replace(
        beat.profile, image_labels={"local/host:latest": named} if named else {}
    )
    return msgspec.structs.replace(beat, profile=profile)


async def test_an_image_is_recorded_again_when_its_labels_change_and_not_at_every_beat(ground):
    async def least():
        found = [one for one in await ground.events() if isinstance(one, ImageDiscovered)]
        return [one.minimum["cpu"] for one in found]

    await ground.registry.hear(labelled(1))
    await ground.registry.hear(labelled(2, cpu="2"))
    await ground.registry.hear(labelled(3, cpu="2"))
    # another agent that says nothing of the image leaves it as it is, also when heard first
    await ground.restart()
    await ground.registry.hear(labelled(1, agent_id="b"))
    await ground.registry.hear(labelled(4, cpu="2"))
    assert await least() == [100, 2000]
    await ground.registry.hear(labelled(5, cpu="3"))
    await ground.registry.hear(labelled(6))
    assert await least() == [100, 2000, 3000, 100]


async def test_labels_whose_recording_a_crash_prevented_are_recorded_after_it(ground):
    beat = labelled(1, cpu="2")
    await ground.registry.hear(labelled(0))
    changed = AgentProfileChanged(agent_id="a", incarnation="one", profile=beat.profile)
    await ground.log.append([Write("agent-a", 1, [changed])], META)
    await ground.restart()
    await ground.registry.hear(beat)
    assert (await ground.events())[-1].minimum["cpu"] == 2000


async def test_an_agent_is_lost_only_after_more_than_the_timeout_and_revived_by_a_beat(ground):
    await ground.registry.hear(heartbeat())
    ground.clock.advance(40)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected"]
    ground.clock.advance(1)
    await ground.registry.declare_lost()
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected", "AgentLost"]
    lost = (await ground.events())[-1]
    assert isinstance(lost, AgentLost)
    assert lost.last_seen_at == START
    ground.clock.advance(9)
    await ground.registry.hear(heartbeat(sequence=2))
    assert (await ground.kinds())[-1] == "AgentRevived"


async def test_each_heartbeat_puts_the_loss_off(ground):
    for sequence in range(1, 10):
        await ground.registry.hear(heartbeat(sequence=sequence))
        ground.clock.advance(20)
        await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected"]


async def test_a_wall_clock_that_jumps_loses_nobody(ground):
    await ground.registry.hear(heartbeat())
    ground.clock.jump(3600)
    await ground.registry.declare_lost()
    ground.clock.jump(-7200)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected"]


async def test_nobody_is_lost_while_nobody_can_be_heard(ground):
    await ground.registry.hear(heartbeat())
    ground.hears = False
    ground.clock.advance(1000)
    await ground.registry.declare_lost()
    ground.hears = True
    ground.clock.advance(40)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected"]
    ground.clock.advance(1)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected", "AgentLost"]


async def test_a_restarted_registry_gives_every_living_agent_a_whole_timeout(ground):
    await ground.registry.hear(heartbeat())
    ground.clock.advance(39)
    await ground.restart()
    ground.clock.advance(40)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected"]
    ground.clock.advance(1)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected", "AgentLost"]


async def test_a_late_heartbeat_from_before_the_goodbye_revives_nobody(ground):
    await ground.registry.hear(heartbeat(sequence=1))
    await ground.registry.hear(heartbeat(sequence=3, goodbye="stopped"))
    await ground.registry.hear(heartbeat(sequence=2))
    await ground.registry.hear(heartbeat(sequence=3))
    assert await ground.kinds() == ["AgentConnected", "AgentTerminated"]
    ground.clock.advance(1000)
    await ground.registry.declare_lost()
    assert await ground.kinds() == ["AgentConnected", "AgentTerminated"]
    await ground.registry.hear(heartbeat(sequence=4))
    assert (await ground.kinds())[-1] == "AgentRevived"


async def test_a_changed_profile_is_one_event(ground):
    await ground.registry.hear(heartbeat())
    for sequence in (2, 3):
        await ground.registry.hear(heartbeat(sequence=sequence, slots={"cpu": 4000}))
    assert await ground.kinds() == ["AgentConnected", "AgentProfileChanged"]


async def test_the_older_of_two_incarnations_is_not_heard_any_more(ground):
    await ground.registry.hear(heartbeat())
    await ground.registry.hear(heartbeat(incarnation="two"))
    await ground.registry.hear(heartbeat(sequence=2))
    assert await ground.kinds() == ["AgentConnected", "AgentConnected"]


async def test_an_unknown_group_is_replaced_by_the_default_one(ground):
    await ground.registry.hear(heartbeat(group="gone"))
    connected = (await ground.events())[0]
    assert isinstance(connected, AgentConnected)
    assert connected.profile.resource_group == "default"


async def test_an_agent_waits_for_a_group_and_comes_in_when_there_is_one(ground):
    registry = Registry(ground.log, ground.clock, timeout_s=40)
    await registry.load()
    await registry.hear(heartbeat())
    assert await ground.events() == []
    appended = asyncio.Event()
    ground.log.on_append(lambda _: appended.set())
    welcome = asyncio.create_task(registry.welcome())
    registry.learn("scheduler", recorded(DEFAULT))
    async with asyncio.timeout(20):
        await appended.wait()
    welcome.cancel()
    assert (await ground.kinds())[0] == "AgentConnected"


async def test_schedulable_is_set_once_and_repeated_under_its_key(ground):
    await ground.registry.hear(heartbeat())
    off = SetAgentSchedulable(agent_id="a", schedulable=False)
    key = CommandKey("k", "digest")
    first = await ground.registry.set_schedulable(off, META, key)
    assert isinstance(first, Accepted)
    on = msgspec.structs.replace(off, schedulable=True)
    await ground.registry.set_schedulable(on, META, None)
    with pytest.raises(CommandRepeated) as repeated:
        await ground.registry.set_schedulable(off, META, key)
    assert repeated.value.done.position == first.position
    again = await ground.registry.set_schedulable(on, META, None)
    assert isinstance(again, Accepted)
    assert again.position == await ground.log.head()
    assert await ground.kinds() == ["AgentConnected", *["AgentSchedulableSet"] * 2]


async def test_two_registries_on_one_log_write_each_edge_once(ground):
    other = Registry(ground.log, ground.clock, timeout_s=40)
    await other.load()
    other.learn("scheduler", recorded(DEFAULT))
    await asyncio.gather(ground.registry.hear(heartbeat()), other.hear(heartbeat()))
    ground.clock.advance(41)
    await asyncio.gather(ground.registry.declare_lost(), other.declare_lost())
    assert await ground.kinds() == ["AgentConnected", "AgentLost"]
    assert [type(event).__name__ for event in await ground.events()].count("ImageDiscovered") == 1


async def test_a_silent_agent_is_lost_without_anybody_asking(ground):
    registry = Registry(ground.log, ground.clock, timeout_s=40)
    registry.learn("scheduler", recorded(DEFAULT))
    await registry.hear(heartbeat())
    appended = asyncio.Event()
    ground.log.on_append(lambda _: appended.set())
    ground.clock.advance(timedelta(seconds=41).total_seconds())
    watch = asyncio.create_task(registry.watch())
    async with asyncio.timeout(20):
        await appended.wait()
    watch.cancel()
    assert await ground.kinds() == ["AgentConnected", "AgentLost"]
