"""A node learns what is desired of it, and never takes a half filled bucket for a full one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client

from shared.contracts.kernels import KernelSpec
from shared.messaging.desired import (
    Complete,
    DesiredChange,
    DesiredState,
    DesiredUnavailable,
    Dropped,
    Wanted,
)
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.messaging.conftest import DEADLINE_S

AGENT = "node.1 ä"


def spec(kernel_id: str, goal: str = "running") -> KernelSpec:
    return KernelSpec(
        session_id="s-1",
        kernel_id=kernel_id,
        attempt=1,
        epoch=1,
        goal=goal,
        session_type="batch",
        session_name="n",
        image="process/system",
        hostname="main1",
        command=("true",),
        environ=None,
        resources={"cpu": 1000},
    )


@asynccontextmanager
async def watching(state: DesiredState, agent_id: str) -> AsyncIterator[asyncio.Queue]:
    """Watch an agent's desired state inside the block; changes come out of the queue."""
    changes: asyncio.Queue[DesiredChange] = asyncio.Queue()

    async def watch() -> None:
        async for change in state.watch(agent_id):
            changes.put_nowait(change)

    task = asyncio.create_task(watch())
    try:
        yield changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def following(changes: asyncio.Queue) -> DesiredChange:
    async with asyncio.timeout(DEADLINE_S):
        return await changes.get()


async def until_complete(changes: asyncio.Queue) -> tuple[list[DesiredChange], Complete]:
    """Take changes up to the next complete view."""
    before = []
    while not isinstance(change := await following(changes), Complete):
        before.append(change)
    return before, change


async def test_a_watcher_sees_what_is_there_then_all_changes(nats: Client):
    state = DesiredState(nats)
    await state.put(AGENT, spec("k1"))
    await state.put("another", spec("k9"))
    await state.mark_complete()
    async with watching(state, AGENT) as changes:
        assert await until_complete(changes) == (
            [Wanted(spec("k1"))],
            Complete(frozenset({"k1"})),
        )
        await state.put(AGENT, spec("k2"))
        await state.put(AGENT, spec("k1", "stopped"))
        await state.remove(AGENT, "k1")
        assert await following(changes) == Wanted(spec("k2"))
        assert await following(changes) == Wanted(spec("k1", "stopped"))
        assert await following(changes) == Dropped("k1")


async def test_all_names_what_is_wanted_and_nothing_else(nats: Client):
    state = DesiredState(nats)
    assert await state.all() == {}
    await state.put("a", spec("k1"))
    await state.put("b", spec("k2"))
    await state.put("b", spec("k3"))
    await state.remove("b", "k2")
    await state.mark_complete()
    assert await state.all() == {"a.k1": spec("k1"), "b.k3": spec("k3")}


async def test_an_empty_bucket_is_complete_only_once_it_is_marked(nats: Client):
    state = DesiredState(nats)
    await state.all()
    assert not await state.is_complete()
    async with watching(state, AGENT) as changes:
        await state.put(AGENT, spec("k1"))
        assert await following(changes) == Wanted(spec("k1"))
        assert changes.empty()
        await state.mark_complete()
        assert await following(changes) == Complete(frozenset({"k1"}))
    assert await state.is_complete()


async def test_a_watch_survives_a_killed_server(nats: Client, nats_server: NatsServer):
    state = DesiredState(nats)
    await state.put(AGENT, spec("k1"))
    await state.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        await nats_server.kill()
        with pytest.raises(DesiredUnavailable):
            await state.put(AGENT, spec("k2"))
        await nats_server.start()
        seen, complete = await until_complete(changes)
        assert (seen, complete) == ([Wanted(spec("k1"))], Complete(frozenset({"k1"})))
        await state.put(AGENT, spec("k2"))
        assert await following(changes) == Wanted(spec("k2"))


async def test_a_wiped_bucket_is_not_a_wish_to_end_everything(
    nats: Client, nats_server: NatsServer
):
    state = DesiredState(nats)
    await state.put(AGENT, spec("k1"))
    await state.put(AGENT, spec("k2"))
    await state.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        await nats_server.kill()
        nats_server.wipe()
        await nats_server.start()
        await eventually(lambda: nats.is_connected)
        await state.put(AGENT, spec("k1"))
        assert await following(changes) == Wanted(spec("k1"))
        await state.put(AGENT, spec("k2"))
        assert await following(changes) == Wanted(spec("k2"))
        await state.mark_complete()
        assert await following(changes) == Complete(frozenset({"k1", "k2"}))


async def test_a_deleted_bucket_is_made_again_and_watched_again(nats: Client):
    state = DesiredState(nats)
    await state.put(AGENT, spec("k1"))
    await state.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        assert await nats.jetstream().delete_key_value("desired")
        await state.put(AGENT, spec("k2"))
        assert await following(changes) == Wanted(spec("k2"))
        assert changes.empty()
