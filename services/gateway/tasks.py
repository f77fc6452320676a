"""Tasks: writes that were accepted but cannot be seen yet.

A task's id is its own record, sealed for its owner: it needs no table and survives any restart.
"""

from datetime import datetime
from typing import Any, Final, Literal, Protocol

import msgspec

from services.gateway.auth.principals import Principal
from services.gateway.writes import Written
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, not_found
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


class Tasks:
    """Makes and reads tasks."""

    def __init__(self, keyring: Keyring, positions: Positions, clock: Clock) -> None:
        self._keyring = keyring
        self._positions = positions
        self._clock = clock

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

    def read(self, principal: Principal, task_id: str) -> TaskDocument | Rejection:
        """Return a task of the caller's; what is not theirs is not found."""
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
