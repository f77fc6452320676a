"""A service of the smallest kind, started by the tests as a process of its own."""

import asyncio
import os
import sys

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext
from shared.runtime.service import ServiceRuntime, run_service


async def compose(runtime: ServiceRuntime) -> None:
    """Answer one command, slowly when asked to; crash in the background when told so."""
    crash = asyncio.Event()

    async def set_schedulable(
        command: SetAgentSchedulable, _context: CommandContext
    ) -> Accepted | Rejection:
        if command.agent_id == "crash":
            crash.set()
        if command.agent_id == "slow":
            await runtime.nats.request("test.slow", timeout=20)  # goes on when the test lets it
        position = await runtime.pool.fetchval("select 41 + 1")
        return Accepted(service="agents", position=position)

    async def watcher() -> None:
        await crash.wait()
        raise RuntimeError("told to crash")

    runtime.commands.handle(SetAgentSchedulable, set_schedulable)
    runtime.background("watcher", watcher())


if __name__ == "__main__":
    os.environ.setdefault("QM_HTTP_PORT", "0")
    sys.exit(run_service("agents", compose))
