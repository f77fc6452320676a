"""Composes the node's daemon."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.agents.node.heartbeat import Goodbye
from services.agents.node.node import Node
from services.agents.node.settings import NodeSettings
from shared.messaging.connection import on_reconnect
from shared.messaging.desired import DesiredState
from shared.runtime.service import ServiceRuntime, run_service

THREADS: Final = 32


async def compose(runtime: ServiceRuntime) -> None:
    """Put the daemon together from its parts."""
    settings = runtime.settings
    if not isinstance(settings, NodeSettings):
        raise TypeError("the node needs its own settings")
    node = Node(settings, runtime.nats, runtime.command_client, runtime.clock)
    goodbye: Goodbye = "stopped"

    def restart() -> None:
        nonlocal goodbye
        goodbye = "restarting"
        runtime.stop()

    async def leave() -> None:
        await node.close(goodbye)

    # Waiting for small files and for processes to die must not hold up other kernels.
    threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="node")
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    await node.open()
    loop.add_signal_handler(signal.SIGHUP, restart)
    on_reconnect(runtime.nats, node.greet)
    runtime.health.add("reports", node.check)
    runtime.health.add("introduction", node.introduction.check)
    desired = DesiredState(runtime.nats).watch(settings.agent_id)
    runtime.background("node", node.run(desired))
    runtime.on_stop(leave)


def main() -> int:
    """Run until told to stop; returns the exit status. Kernels outlive it."""
    return run_service("node", compose, NodeSettings)
