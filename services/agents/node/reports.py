"""Sends what the journal has to tell to the scheduler, until the scheduler has it."""

import asyncio
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Final

import structlog

from services.agents.node.journal import Journal, Waiting
from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.scheduler import ReportKernels
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.command_client import CommandClient

BATCH: Final = 100
TIMEOUT_S: Final = 5.0
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
_log = structlog.get_logger(__name__)


class Reporter:
    """One report is sent again and again until it is accepted; their order is kept."""

    def __init__(
        self,
        agent_id: str,
        journal: Journal,
        commands: CommandClient,
        on_accepted: Callable[[str], None],
    ) -> None:
        """Tell `on_accepted` the kernel of each accepted report."""
        self._agent_id = agent_id
        self._journal = journal
        self._commands = commands
        self._on_accepted = on_accepted
        self._random = SystemRandom()
        self._failures = 0

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._journal.reported.clear()
            batch = await self._journal.waiting(BATCH)
            if not batch:
                await self._journal.reported.wait()
            elif (rejection := await self._send(batch)) is None:
                self._failures = 0
            elif rejection.kind == "unavailable":
                await self._back_off(rejection)
            else:
                await self._single_out(batch, rejection)

    async def _send(self, batch: Sequence[Waiting]) -> Rejection | None:
        command = ReportKernels(
            agent_id=self._agent_id,
            incarnation=self._journal.incarnation,
            reports=tuple(waiting.report for waiting in batch),
        )
        meta = Meta(actor=Actor("node", self._agent_id), correlation_id=new_id())
        reply = await self._commands.send(command, meta=meta, timeout_s=TIMEOUT_S)
        if not isinstance(reply, Accepted):
            return reply.rejection
        await self._journal.accepted([waiting.number for waiting in batch])
        for kernel_id in {waiting.report.kernel_id for waiting in batch}:
            self._on_accepted(kernel_id)
        return None

    async def _single_out(self, batch: Sequence[Waiting], rejection: Rejection) -> None:
        """Find the report that is refused for good; it must not keep the others back."""
        for waiting in batch:
            one = rejection if len(batch) == 1 else await self._send([waiting])
            if one is not None and one.kind == "unavailable":
                await self._back_off(one)
                return
            if one is not None:
                await self._set_aside(waiting, one)

    async def _set_aside(self, waiting: Waiting, rejection: Rejection) -> None:
        _log.error(
            "report_refused",
            kernel=waiting.report.kernel_id,
            phase=waiting.report.phase,
            code=rejection.code,
            reason=rejection.message,
        )
        await self._journal.refused(waiting.number, f"{rejection.code}: {rejection.message}")
        self._on_accepted(waiting.report.kernel_id)

    async def _back_off(self, rejection: Rejection) -> None:
        if self._failures == 0:
            _log.warning("reports_wait", code=rejection.code, reason=rejection.message)
        self._failures += 1
        longest = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures, 10))
        asked = rejection.retry_after_s or 0
        await asyncio.sleep(max(min(asked, BACKOFF_MAX_S), self._random.uniform(0.1, longest)))
