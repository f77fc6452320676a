"""Who does not lead any more tells no node anything; what is told stays told."""

import asyncio

import pytest

from services.scheduler.books import Books
from services.scheduler.policies_view import PoliciesView
from services.scheduler.publisher import AT_ONCE, Publisher
from services.scheduler.specs import SpecMaker
from shared.contracts.kernels import KernelPresence
from shared.eventlog.outcomes import LogUnavailable, StaleEpoch
from shared.messaging.connection import connect
from shared.messaging.desired import DesiredState
from shared.security.sealing import Keyring
from shared.testing.eventually import eventually


async def test_a_deposed_leader_writes_nothing_to_the_bucket(nats_server):
    client = await connect(nats_server.url, "publisher-test")
    desired = DesiredState(client)

    async def deposed():
        raise StaleEpoch(1)

    publisher = Publisher(
        desired,
        SpecMaker(Keyring.generate(), 1, PoliciesView()),
        confirm=deposed,
        broken=pytest.fail,
        lost=pytest.fail,
    )
    found = KernelPresence(session_id="s1", kernel_id="k1", attempt=1, phase="running")
    publisher.strays("n1", "i1", [found])
    with pytest.raises(StaleEpoch):
        await publisher.run()
    assert await desired.all() == {}
    await client.close()


async def test_a_comparison_that_is_tried_again_leaves_what_was_put_meanwhile(nats_server):
    client = await connect(nats_server.url, "publisher-test")
    desired = DesiredState(client)
    await desired.all()
    answers = [None, None, LogUnavailable("asked too much")]

    async def confirm():
        if answers and (problem := answers.pop(0)) is not None:
            raise problem

    publisher = Publisher(
        desired,
        SpecMaker(Keyring.generate(), 1, PoliciesView()),
        confirm=confirm,
        broken=pytest.fail,
        lost=pytest.fail,
    )
    publisher.compare_all(Books())
    many = [
        KernelPresence(session_id="s1", kernel_id=f"k{number}", attempt=1, phase="running")
        for number in range(AT_ONCE + 1)
    ]
    publisher.strays("n1", "i1", many)
    work = asyncio.create_task(publisher.run())
    await eventually(desired.is_complete)
    work.cancel()
    assert not answers
    assert len(await desired.all()) == len(many)
    await client.close()
