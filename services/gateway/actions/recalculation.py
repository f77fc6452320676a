"""Recalculating usage, by a task of two steps.

The scheduler compares its books with its log and with the nodes; then the counters of the read
models are compared with the sessions' rows.
"""

from typing import Any, Final

import msgspec

from services.gateway.actions.recount import recount
from services.gateway.documents.usage import UsageResult
from services.gateway.gateway import Gateway
from services.gateway.task_table import HeldTask, NewTask, Piece
from shared.contracts.base import Meta, ServiceName
from shared.contracts.scheduler import RecalculateUsage
from shared.contracts.scheduler.usage import DIFFERENCES_MAX
from shared.eventlog.records import CommandKey

KIND: Final = "usage.recalculate"
VISIBLE_TRIES: Final = 60
_SERVICE: Final[ServiceName] = "scheduler"


async def begin(gateway: Gateway, owner: str, meta: Meta, key: CommandKey | None) -> str:
    """Begin to recalculate and return the task's id."""
    content = msgspec.json.encode(meta)
    return await gateway.tasks.begin(
        NewTask(owner=owner, kind=KIND, total=2, unit="comparisons", content=content, key=key)
    )


class RecalculationWork:
    """Has usage recalculated; see `task_runner.Work`."""

    action = "maintenance.recalculate-usage"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def piece(self, task: HeldTask, first: int) -> Piece:
        """Do one comparison; raises Refused (503) while the scheduler's goes on.

        Asked again, the scheduler tells the same. What was wrong with the counters is told once.
        """
        if first:
            found = await recount(self._gateway.reads.pool)
            return _piece(UsageResult(differences=found[:DIFFERENCES_MAX], corrected=len(found)))
        meta = msgspec.json.decode(task.content, type=Meta)
        key = CommandKey(f"task:{task.task_id}", "")
        reply = await self._gateway.writes.submit(RecalculateUsage(), meta, key)
        return _piece(msgspec.convert(reply.result, UsageResult))

    async def visible(self, _task: HeldTask, _done: int) -> None:
        """Wait until what was corrected can be read, or for long enough."""
        position = self._gateway.writes.told(_SERVICE)
        for _ in range(VISIBLE_TRIES):
            if await self._gateway.writes.visible(_SERVICE, position):
                break


def result(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a recalculation came to, as far as it came."""
    found = [msgspec.convert(unit, UsageResult) for unit in units]
    whole = UsageResult(
        differences=[difference for one in found for difference in one.differences],
        corrected=sum(one.corrected for one in found),
    )
    rendered: dict[str, Any] = msgspec.to_builtins(whole)
    return rendered


def _piece(found: UsageResult) -> Piece:
    return Piece([msgspec.to_builtins(found)], [{}])
