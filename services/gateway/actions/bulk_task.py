"""A bulk request too long for one answer: its rows are created by a task."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.gateway.actions.bulk import Bulk, RowResult, RowsDone, create_rows, summary
from services.gateway.actions.bulk_rows import repeated
from services.gateway.gateway import Gateway
from services.gateway.http.problems import Refused
from services.gateway.task_table import HeldTask, NewTask, Piece
from shared.contracts.base import ServiceName
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError

KIND: Final = "users.bulk"
PIECE_ROWS: Final = 20
VISIBLE_TRIES: Final = 60
_SERVICE: Final[ServiceName] = "users"
_SHOWN_ONCE: Final = frozenset({"email", "password"})


async def begin(gateway: Gateway, owner: str, bulk: Bulk, key: CommandKey | None) -> str:
    """Begin to create the users of a bulk request and return the task's id."""
    content = await gateway.offloop.run(lambda: msgspec.json.encode(bulk))
    task = NewTask(
        owner=owner, kind=KIND, total=len(bulk.rows), unit="users", content=content, key=key
    )
    return await gateway.tasks.begin(task)


class BulkWork:
    """Creates users piece by piece, of one task at a time; see `task_runner.Work`."""

    action = "users.bulk"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._task_id = ""
        self._bulk: Bulk | None = None
        self._twice: Mapping[int, FieldError] = {}
        self._position = 0

    async def piece(self, task: HeldTask, first: int) -> Piece:
        """Create the users of the next rows; raises Refused (503) when somebody is away."""
        done = await self._create(task, first)
        if done.away is not None:
            raise Refused(done.away)
        units: list[dict[str, Any]] = msgspec.to_builtins(done.results)
        return Piece(
            [{n: v for n, v in unit.items() if n not in _SHOWN_ONCE} for unit in units],
            [{n: v for n, v in unit.items() if n in _SHOWN_ONCE} for unit in units],
        )

    async def visible(self, task: HeldTask, done: int) -> None:
        """Wait until the users can be read, or for long enough."""
        if done and (task.task_id != self._task_id or not self._position):
            # another process did them: done again under their keys, they tell where they are
            await self._create(task, max(0, min(done, task.total) - PIECE_ROWS))
        for _ in range(VISIBLE_TRIES):
            if await self._gateway.writes.visible(_SERVICE, self._position):
                break

    async def _create(self, task: HeldTask, first: int) -> RowsDone:
        if self._bulk is None or task.task_id != self._task_id:
            content = task.content
            self._bulk = await self._gateway.offloop.run(
                lambda: msgspec.json.decode(content, type=Bulk)
            )
            self._twice = repeated(self._bulk.rows)
            self._task_id, self._position = task.task_id, 0
        last = min(first + PIECE_ROWS, task.total)
        done = await create_rows(self._gateway, self._bulk, first, last, self._twice)
        self._position = max(done.position, self._position)
        return done


def result(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a bulk request came to; addresses and passwords are null and absent later."""
    rows = [msgspec.convert({"email": None, **unit}, RowResult) for unit in units]
    rendered: dict[str, Any] = msgspec.to_builtins(summary(rows))
    return rendered
