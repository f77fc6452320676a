"""Tasks: what goes on after its request was answered.

There are two sorts. A write that was accepted but cannot be seen yet has an id that is its own
record, sealed for its owner: it needs no table and survives any restart. Work of many steps is in
a table (`task_table`) and is done by `task_runner`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, Protocol

import msgspec

from services.gateway.auth.principals import Principal
from services.gateway.offloop import OffLoop
from services.gateway.task_table import NewTask, StoredPiece, TaskRow, TaskTable
from services.gateway.writes import Written
from shared.kernel.clock import Clock
from shared.kernel.ids import is_id
from shared.kernel.rejections import Rejection, conflict, not_found
from shared.security.sealing import Keyring, SealBroken

_PURPOSE: Final = "task"
_ID_CHARS_MAX: Final = 4_096


class Positions(Protocol):
    """Where the read models stand."""

    def position(self, source: str) -> int:
        """Return the last visible position of a service."""
        ...


class _Record(msgspec.Struct, kw_only=True):
    kind: str
    service: str
    position: int
    result: dict[str, Any]
    at: datetime


class TaskProgress(msgspec.Struct, kw_only=True):
    """How much of a task is done."""

    done: int
    total: int
    unit: str = "events"


class TaskDocument(msgspec.Struct, kw_only=True):
    """Something that goes on after its request was answered."""

    id: str
    kind: str
    status: Literal["running", "done", "failed", "cancelled"]
    progress: TaskProgress
    message: str
    result: dict[str, Any] | None
    error: str | None = None
    created_at: datetime
    updated_at: datetime


Render = Callable[[list[dict[str, Any]]], dict[str, Any]]


class Tasks:
    """Begins, reads and cancels tasks; `results` renders the result of each kind of work."""

    def __init__(
        self,
        keyring: Keyring,
        positions: Positions,
        clock: Clock,
        table: TaskTable,
        results: Mapping[str, Render],
        offloop: OffLoop,
    ) -> None:
        self._keyring = keyring
        self._positions = positions
        self._clock = clock
        self.table = table
        self._results = results
        self._offloop = offloop
        self._wake: list[Callable[[], None]] = []

    def on_begin(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is a new task."""
        self._wake.append(wake)

    async def begin(self, task: NewTask) -> str:
        """Begin work of many steps and return the task's id; the same key begins it once."""
        task_id = await self.table.add(task)
        for wake in self._wake:
            wake()
        return task_id

    async def cancel(self, principal: Principal, task_id: str) -> TaskDocument | Rejection:
        """Ask a task to stop after the step it is at; what was done stays done."""
        if not is_id(task_id):
            found = self._visibility(principal, task_id)
            if isinstance(found, Rejection):
                return found
            return conflict("task_not_cancellable", "What was asked for is done already.")
        if await self.table.ask_cancel(principal.user_id, task_id):
            return await self.read(principal, task_id)
        row = await self.table.read(principal.user_id, task_id)
        if row is None:
            return not_found("task", task_id)
        return conflict("task_over", f"The task is over: {row.status}.")

    def of(self, principal: Principal, kind: str, written: Written) -> str:
        """Return the id of the task that ends when a write is visible; it holds no secret."""
        result = {
            name: value for name, value in written.result.items() if not name.startswith("sealed_")
        }
        record = _Record(
            kind=kind,
            service=written.service,
            position=written.position,
            result=result,
            at=self._clock.now(),
        )
        content = msgspec.json.encode(record)
        return self._keyring.seal(_PURPOSE, content, context=principal.user_id)

    async def read(self, principal: Principal, task_id: str) -> TaskDocument | Rejection:
        """Return a task of the caller's; what is not theirs is not found."""
        if not is_id(task_id):
            return self._visibility(principal, task_id)
        row = await self.table.read(principal.user_id, task_id)
        return not_found("task", task_id) if row is None else await self._document(row)

    async def _document(self, row: TaskRow) -> TaskDocument:
        result = None
        if row.status != "running":
            result = await self.table.take_pieces(row.task_id, partial(self._rendered, row))
        is_stopping = row.status == "running" and row.is_cancel_asked
        return TaskDocument(
            id=row.task_id,
            kind=row.kind,
            status=row.status,
            progress=TaskProgress(done=row.done, total=row.total, unit=row.unit),
            message="It is being cancelled." if is_stopping else row.message,
            result=result,
            error=row.error,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    async def _rendered(self, row: TaskRow, pieces: list[StoredPiece]) -> dict[str, Any]:
        render = self._results[row.kind]
        # away from the loop, as there may be thousands; refused here, nothing has been shown yet
        return await self._offloop.run(lambda: render(self.table.open_pieces(row.task_id, pieces)))

    def _visibility(self, principal: Principal, task_id: str) -> TaskDocument | Rejection:
        try:
            if len(task_id) > _ID_CHARS_MAX:
                return not_found("task", task_id[:64])
            content = self._keyring.open(_PURPOSE, task_id, context=principal.user_id)
        except SealBroken:
            return not_found("task", task_id[:64])
        record = msgspec.json.decode(content, type=_Record)
        is_done = self._positions.position(record.service) >= record.position
        return TaskDocument(
            id=task_id,
            kind=record.kind,
            status="done" if is_done else "running",
            progress=TaskProgress(done=int(is_done), total=1),
            message="" if is_done else "The change is stored and will show shortly.",
            result=record.result if is_done else None,
            created_at=record.at,
            updated_at=self._clock.now(),
        )
