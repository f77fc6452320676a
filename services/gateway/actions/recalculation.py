"""Recalculating usage, by a task: the scheduler compares its books with its log and the nodes."""

from typing import Any, Final

import msgspec

from services.gateway.gateway import Gateway
from services.gateway.task_table import HeldTask, NewTask, Piece
from shared.contracts.base import Meta, ServiceName
from shared.contracts.scheduler import RecalculateUsage, UsageDifference
from shared.eventlog.records import CommandKey

KIND: Final = "usage.recalculate"
VISIBLE_TRIES: Final = 60
_SERVICE: Final[ServiceName] = "scheduler"


class UsageResult(msgspec.Struct, kw_only=True):
    """What was otherwise than it should be: the first of them, and how many were corrected."""

    differences: list[UsageDifference]
    corrected: int


async def begin(gateway: Gateway, owner: str, meta: Meta, key: CommandKey | None) -> str:
    """Begin to recalculate and return the task's id."""
    content = msgspec.json.encode(meta)
    return await gateway.tasks.begin(
        NewTask(owner=owner, kind=KIND, total=1, unit="comparison", content=content, key=key)
    )


class RecalculationWork:
    """Has usage recalculated in one piece; see `task_runner.Work`."""

    action = "maintenance.recalculate-usage"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def piece(self, task: HeldTask, _first: int) -> Piece:
        """Have it done; raises Refused (503) while it goes on, and is asked again under its key."""
        meta = msgspec.json.decode(task.content, type=Meta)
        key = CommandKey(f"task:{task.task_id}", "")
        reply = await self._gateway.writes.submit(RecalculateUsage(), meta, key)
        return Piece([{**reply.result, "position": reply.position}], [{}])

    async def visible(self, _task: HeldTask, _done: int) -> None:
        """Wait until what was corrected can be read, or for long enough."""
        position = self._gateway.writes.told(_SERVICE)
        for _ in range(VISIBLE_TRIES):
            if await self._gateway.writes.visible(_SERVICE, position):
                break


def result(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a recalculation came to; nothing when it did not come to its end."""
    found = UsageResult(differences=[], corrected=0)
    for unit in units:
        found = msgspec.convert(unit, UsageResult)
    rendered: dict[str, Any] = msgspec.to_builtins(found)
    return rendered
