"""A service that answers one command, as the tests like."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted, Rejected, Reply
from shared.messaging.broker import make_broker
from shared.messaging.commands import CommandContext, CommandServer

COMMAND = SetAgentSchedulable(agent_id="a-1", schedulable=True)
ACCEPTED = Accepted(service="agents", position=7)


@asynccontextmanager
async def serving(nats: Client, handler, **options) -> AsyncIterator[CommandServer]:
    """Answer SetAgentSchedulable inside the block."""
    broker = make_broker(nats, "agents")
    server = CommandServer(broker, "agents", **options)
    server.handle(SetAgentSchedulable, handler)
    await broker.start()
    try:
        yield server
    finally:
        await server.stop(5)
        await broker.stop()


async def accept(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
    return ACCEPTED


def code(reply: Reply) -> str:
    assert isinstance(reply, Rejected)
    return reply.rejection.code
