"""Who does not lead any more tells no node anything."""

import pytest

from services.scheduler.policies_view import PoliciesView
from services.scheduler.publisher import Publisher
from services.scheduler.specs import SpecMaker
from shared.contracts.kernels import KernelPresence
from shared.eventlog.outcomes import StaleEpoch
from shared.messaging.connection import connect
from shared.messaging.desired import DesiredState
from shared.security.sealing import Keyring


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
