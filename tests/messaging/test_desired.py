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
from shared.messaging.desired_writer import BATCH_MIN, DesiredLost, DesiredWriter
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


async def leads() -> None:
    """Nobody else leads."""


async def writer_of(nats: Client, epoch: int = 1) -> DesiredWriter:
    writer = DesiredWriter(nats, epoch)
    await writer.take(leads)
    return writer


def wish(kernel_id: str, goal: str = "running", agent: str = AGENT) -> dict:
    return {(agent, kernel_id): spec(kernel_id, goal)}


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
    state, writer = DesiredState(nats), await writer_of(nats)
    await writer.bring(wish("k1") | wish("k9", agent="another"))
    await writer.mark_complete()
    async with watching(state, AGENT) as changes:
        assert await until_complete(changes) == (
            [Wanted(spec("k1"))],
            Complete(frozenset({"k1"})),
        )
        await writer.bring(wish("k2"))
        await writer.bring(wish("k1", "stopped"))
        await writer.bring({(AGENT, "k1"): None})
        assert await following(changes) == Wanted(spec("k2"))
        assert await following(changes) == Wanted(spec("k1", "stopped"))
        assert await following(changes) == Dropped("k1")


async def test_all_names_what_is_wanted_and_nothing_else(nats: Client):
    state = DesiredState(nats)
    assert await state.all() == {}
    writer = await writer_of(nats)
    await writer.bring(wish("k1", agent="a") | wish("k2", agent="b") | wish("k3", agent="b"))
    await writer.bring({("b", "k2"): None})
    await writer.mark_complete()
    assert await state.all() == {"a.k1": spec("k1"), "b.k3": spec("k3")}
    await writer.remove_keys(["a.k1"])
    assert await state.all() == {"b.k3": spec("k3")}


@pytest.mark.parametrize("count", [BATCH_MIN - 1, BATCH_MIN, 1000])
async def test_any_number_is_brought_and_removed_again(nats: Client, count: int):
    state, writer = DesiredState(nats), await writer_of(nats)
    names = [f"k{number}" for number in range(count)]
    await writer.bring({(AGENT, name): spec(name) for name in names})
    assert {one.kernel_id for one in (await state.all()).values()} == set(names)
    async with watching(state, AGENT) as changes:
        await writer.bring({(AGENT, name): None for name in names})
        await writer.mark_complete()
        assert (await until_complete(changes))[1] == Complete(frozenset())
    assert await state.all() == {}


@pytest.mark.parametrize("count", [1, BATCH_MIN])
async def test_who_took_the_bucket_before_writes_nothing_any_more(nats: Client, count: int):
    state, old, new = DesiredState(nats), await writer_of(nats), await writer_of(nats, 2)
    await new.bring({(AGENT, f"k{number}"): spec(f"k{number}", "stopped") for number in range(4)})
    before = await state.all()
    with pytest.raises(DesiredLost):
        await old.bring({(AGENT, f"k{number}"): spec(f"k{number}") for number in range(count)})
    assert not old.has_taken
    with pytest.raises(DesiredLost):
        await old.mark_complete()
    assert await state.all() == before
    assert not await state.is_complete()
    assert new.has_taken


async def test_who_is_overtaken_while_it_asks_whether_it_leads_does_not_take_the_bucket(
    nats: Client,
):
    old, new = DesiredWriter(nats, 1), DesiredWriter(nats, 2)

    async def overtaken() -> None:
        await new.take(leads)

    with pytest.raises(DesiredLost):
        await old.take(overtaken)
    await new.bring(wish("k1"))


async def test_an_empty_bucket_is_complete_only_once_it_is_marked(nats: Client):
    state, writer = DesiredState(nats), await writer_of(nats)
    assert not await state.is_complete()
    async with watching(state, AGENT) as changes:
        await writer.bring(wish("k1"))
        assert await following(changes) == Wanted(spec("k1"))
        assert changes.empty()
        await writer.mark_complete()
        assert await following(changes) == Complete(frozenset({"k1"}))
    assert await state.is_complete()


async def test_a_watch_survives_a_killed_server(nats: Client, nats_server: NatsServer):
    state, writer = DesiredState(nats), await writer_of(nats)
    await writer.bring(wish("k1"))
    await writer.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        await nats_server.kill()
        with pytest.raises(DesiredUnavailable):
            await writer.bring(wish("k2"))
        await nats_server.start()
        seen, complete = await until_complete(changes)
        assert (seen, complete) == ([Wanted(spec("k1"))], Complete(frozenset({"k1"})))
        await writer.bring(wish("k2"))
        assert await following(changes) == Wanted(spec("k2"))


async def test_a_wiped_bucket_is_not_a_wish_to_end_everything(
    nats: Client, nats_server: NatsServer
):
    state, writer = DesiredState(nats), await writer_of(nats)
    await writer.bring(wish("k1") | wish("k2"))
    await writer.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        await nats_server.kill()
        nats_server.wipe()
        await nats_server.start()
        await eventually(lambda: nats.is_connected)
        with pytest.raises(DesiredLost):
            await writer.bring(wish("k1"))
        await writer.take(leads)
        await writer.bring(wish("k1"))
        assert await following(changes) == Wanted(spec("k1"))
        await writer.bring(wish("k2"))
        assert await following(changes) == Wanted(spec("k2"))
        await writer.mark_complete()
        assert await following(changes) == Complete(frozenset({"k1", "k2"}))


async def test_a_deleted_bucket_is_made_again_and_watched_again(nats: Client):
    state, writer = DesiredState(nats), await writer_of(nats)
    await writer.bring(wish("k1"))
    await writer.mark_complete()
    async with watching(state, AGENT) as changes:
        await until_complete(changes)
        assert await nats.jetstream().delete_key_value("desired")
        with pytest.raises(DesiredLost):
            await writer.bring(wish("k2"))
        await writer.take(leads)
        await writer.bring(wish("k2"))
        assert await following(changes) == Wanted(spec("k2"))
        assert changes.empty()


async def test_a_bucket_made_before_batches_were_used_is_brought_up_to_date(nats: Client):
    await nats.jetstream().create_key_value(bucket="desired", history=1)
    writer = await writer_of(nats)
    await writer.bring({(AGENT, f"k{number}"): spec(f"k{number}") for number in range(BATCH_MIN)})
    assert len(await DesiredState(nats).all()) == BATCH_MIN
