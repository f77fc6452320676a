"""Finds out when sessions can be placed on this node: when the scheduler has learned of it."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.scheduler import ReportKernels
from shared.kernel.ids import new_id
from shared.messaging.command_client import CommandClient
from shared.observability.health import Check

TIMEOUT_S: Final = 5.0
PAUSE_FIRST_S: Final = 0.05
PAUSE_MAX_S: Final = 0.4
_log = structlog.get_logger(__name__)


class Introduction:
    """Asks the scheduler, with reports of nothing, until it knows this incarnation."""

    def __init__(self, agent_id: str, commands: CommandClient) -> None:
        """Ask on behalf of one agent."""
        self._agent_id = agent_id
        self._commands = commands
        self._is_known = False

    async def run(self, incarnation: str, beat_again: Callable[[], None]) -> None:
        """Return when the scheduler knows the agent; until then, beat whenever it does not."""
        pause_s = PAUSE_FIRST_S
        hello = ReportKernels(agent_id=self._agent_id, incarnation=incarnation, reports=())
        meta = Meta(actor=Actor("node", self._agent_id), correlation_id=new_id())
        while True:
            reply = await self._commands.send(hello, meta=meta, timeout_s=TIMEOUT_S)
            if isinstance(reply, Accepted):
                self._is_known = True
                _log.info("introduced", agent=self._agent_id)
                return
            beat_again()  # whoever keeps the registry may not have listened yet
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def check(self) -> Check:
        """Fail until sessions can be placed here."""
        if self._is_known:
            return Check(state="ok")
        return Check(state="failed", detail="the scheduler does not know this agent yet")
