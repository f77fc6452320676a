"""One scheduler for each file of tests; each test brings its own node."""

import pytest_asyncio

from shared.contracts.agents import AgentTerminated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.testing.servers import Databases, NatsServer
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import world_of

LAST = {"SessionTerminated", "SessionCancelled", "SessionFailed"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(postgres_server, tmp_path_factory):
    databases, server = Databases(postgres_server), NatsServer()
    await server.start()
    try:
        async with world_of(databases, server, tmp_path_factory.mktemp("scheduler")) as world:
            yield world
    finally:
        await server.remove()
        await databases.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def node(world, request):
    node = await FakeNode(world, request.node.name.replace("_", "-")[-40:]).connect()
    world.session_ids.clear()
    yield node
    await world.agents.say(AgentTerminated(agent_id=node.agent_id, reason="stopped"))
    for session_id in world.session_ids:

        async def is_over(session_id=session_id):
            await world.terminate(session_id, forced=True)
            return LAST & set(await world.types_of(session_id))

        await world.until(is_over)


@pytest_asyncio.fixture(loop_scope="session")
async def event_log(postgres):
    pool = await open_pool(await postgres.database("scheduler"), name="writer-test")
    yield EventLog(pool, codec_for("scheduler"))
    pool.terminate()
