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
            await runtime.nats.publish("test.slow")
            await asyncio.sleep(0.5)
        position = await runtime.pool.fetchval("select 41 + 1")
        return Accepted(service="agents", position=position)

    async def watcher() -> None:
        await crash.wait()
        raise RuntimeError("told to crash")

    runtime.commands.handle(SetAgentSchedulable, set_schedulable)
    runtime.background("watcher", watcher())

    async def announce() -> None:
        sys.stdout.write(f"PORT {runtime.http.port}\n")
        sys.stdout.flush()

    runtime.on_start(announce)


if __name__ == "__main__":
    os.environ.setdefault("QM_HTTP_PORT", "0")
    sys.exit(run_service("agents", compose))
