"""Recalculates usage: the books against a fresh fold of the log, and against what nodes have.

The log is read while work goes on; only for the last events and the comparison nothing is decided.
Where the books differ the fold takes their place. That this ever happens would be a fault of ours.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from services.scheduler.books import Books
from services.scheduler.folding import Folding
from services.scheduler.node_differences import NodeDifferences
from services.scheduler.usage import differences
from services.scheduler.writer import Decision, Writer
from shared.contracts.base import Accepted, Meta
from shared.contracts.scheduler import RecalculateUsage, UsageDifference, UsageRecalculated
from shared.contracts.scheduler.usage import DIFFERENCES_MAX
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import IdempotencyMismatch
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

log = get_logger(__name__)

ANSWER_S: Final = 4.0
# two heartbeats at their longest distance
NODES_S: Final = 8.0


class Recalculation:
    """One at a time; who asks meanwhile gets its outcome."""

    def __init__(
        self,
        writer: Writer,
        event_log: EventLog,
        nodes: NodeDifferences,
        empty: Callable[[], Books] = Books,
    ) -> None:
        self._writer = writer
        self._empty = empty
        self._log = event_log
        self._nodes = nodes
        self._run: asyncio.Task[list[UsageDifference]] | None = None

    async def handle(self, _command: RecalculateUsage, context: CommandContext) -> Outcome:
        """Recalculate; refused as unavailable while it goes on."""
        key = context.idempotency
        if key is not None:
            try:
                done = await self._log.find_command(key)
            except IdempotencyMismatch as mismatch:
                return mismatch.rejection
            if done is not None:
                return Accepted(service="scheduler", position=done.position, result=done.result)
        if self._run is None:
            self._run = asyncio.create_task(self._recalculate(context.meta))
        run = self._run
        ended, _ = await asyncio.wait((run,), timeout=ANSWER_S)
        if not ended:
            text = "The log is being read and the nodes are being heard; it goes on."
            return unavailable("recalculating", text)
        if self._run is run:
            self._run = None
        found = run.result()
        result = {
            "differences": msgspec.to_builtins(found[:DIFFERENCES_MAX]),
            "corrected": len(found),
        }
        return await self._writer.submit(
            lambda _books: Decision((), result), context.meta, key=key, deadline=context.deadline
        )

    async def _recalculate(self, meta: Meta) -> list[UsageDifference]:
        with self._nodes.watched() as of_nodes:
            found = await self._compare()
            alive = self._writer.books.is_reachable
            await self._nodes.settled(alive, NODES_S)
            found += of_nodes.values()
        if found:
            log.error("usage_differed", differences=len(found), first=str(found[0]))
            event = UsageRecalculated(
                differences=tuple(found[:DIFFERENCES_MAX]), corrected=len(found)
            )
            outcome = await self._writer.submit(lambda _books: Decision((event,)), meta)
            if isinstance(outcome, Rejection):
                log.warning("usage_difference_not_kept", code=outcome.code)
        return found

    async def _compare(self) -> list[UsageDifference]:
        fresh = Folding(self._empty(), self._log)
        await fresh.catch_up()

        async def replace_if_wrong(live: Books) -> list[UsageDifference]:
            await fresh.catch_up()
            found = differences(live, fresh.books)
            if found:
                self._writer.replace(fresh.books)
            return found

        return await self._writer.hold(replace_if_wrong)
