"""Who does not lead any more tells no node anything; what is told stays told."""

import asyncio

import pytest
import pytest_asyncio

from services.scheduler.agents_view import AgentsView
from services.scheduler.books import Books
from services.scheduler.policies_view import PoliciesView
from services.scheduler.publisher import AT_ONCE, Publisher
from services.scheduler.specs import SpecMaker
from shared.contracts.kernels import KernelPresence
from shared.eventlog.outcomes import StaleEpoch
from shared.messaging.connection import close, connect
from shared.messaging.desired import DesiredState, DesiredUnavailable
from shared.messaging.desired_writer import DesiredWriter
from shared.security.sealing import Keyring
from shared.testing.eventually import eventually


@pytest_asyncio.fixture(loop_scope="session")
async def client(nats_server):
    connected = await connect(nats_server.url, "publisher-test")
    yield connected
    await close(connected)


async def leads():
    """Nobody else does."""


def publisher_of(client, writer, confirm=leads):
    publisher = Publisher(
        DesiredState(client),
        writer,
        SpecMaker(Keyring.generate(), 1, PoliciesView(), AgentsView()),
        confirm=confirm,
        broken=pytest.fail,
        lost=lambda: publisher.compare_all(Books()),
    )
    return publisher


def running(number):
    return KernelPresence(session_id="s1", kernel_id=f"k{number}", attempt=1, phase="running")


async def test_a_deposed_leader_writes_nothing_to_the_bucket(client):
    async def deposed():
        raise StaleEpoch(1)

    publisher = publisher_of(client, DesiredWriter(client, 1), deposed)
    publisher.strays("n1", "i1", [running(1)])
    with pytest.raises(StaleEpoch):
        await publisher.run()
    assert await DesiredState(client).all() == {}


async def test_a_leader_that_slept_after_it_was_sure_to_lead_changes_nothing(client):
    """As with SIGSTOP: it was asked, then another came, and then the write went out."""
    epochs = [1]

    async def confirm():
        if max(epochs) > 1:
            raise StaleEpoch(1)

    publisher = publisher_of(client, DesiredWriter(client, 1), confirm)
    publisher.compare_all(Books())
    work = asyncio.create_task(publisher.run())
    state = DesiredState(client)
    await eventually(state.is_complete)
    epochs.append(2)
    successor = DesiredWriter(client, 2)
    await successor.take(leads)
    publisher.strays("n1", "i1", [running(1)])
    with pytest.raises(StaleEpoch):
        await asyncio.wait_for(work, 20)
    assert await state.all() == {}


async def test_a_comparison_that_is_tried_again_leaves_what_was_put_meanwhile(client):
    class LateOnce(DesiredWriter):
        """Its second answer comes too late."""

        times = 0

        async def bring(self, wishes):
            self.times += 1
            if self.times == 2:
                raise DesiredUnavailable("no answer")
            await super().bring(wishes)

    writer = LateOnce(client, 1)
    publisher = publisher_of(client, writer)
    publisher.compare_all(Books())
    many = [running(number) for number in range(AT_ONCE + 1)]
    publisher.strays("n1", "i1", many)
    work = asyncio.create_task(publisher.run())
    state = DesiredState(client)
    await eventually(state.is_complete)
    work.cancel()
    assert writer.times > 2
    assert len(await state.all()) == len(many)
