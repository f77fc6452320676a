"""The pending queue as others see it: why each session waits, a page on demand, telemetry."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from shared.contracts.base import Query


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One limit or resource that is in the way; amounts rendered as in the API."""

    scope: str
    slot: str
    used: str | None = None
    requested: str | None = None
    limit: str | None = None
    short_by: str | None = None
    agents: int | None = None


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a session waits: a code for programs, a sentence for people, the numbers behind."""

    code: str
    message: str
    violations: tuple[Violation, ...] = ()


class GetPendingQueue(Query, frozen=True, tag="GetPendingQueue"):
    """Ask for one page of a group's queue in the order in which it will be placed."""

    SERVICE: ClassVar = "scheduler"
    resource_group: str
    offset: int = 0
    limit: int = 20


class EstimatedStart(msgspec.Struct, frozen=True, kw_only=True):
    """When a session will probably start: four of five start between `low` and `high`."""

    low: datetime
    likely: datetime
    high: datetime


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One waiting session; `position` starts at 1.

    A start is estimated of the first ones, where enough is known of how long sessions run.
    """

    session_id: str
    position: int
    reason: Reason
    retries: int
    estimated_start: EstimatedStart | None = None


class PendingQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the queue, and the log position that it was computed at."""

    total: int
    entries: tuple[QueueEntry, ...]
    position: int


class QueueChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.scheduler.queue.<group>`: the whole queue's order, after a pass."""

    resource_group: str
    position: int
    entries: tuple[QueueEntry, ...]
    detail: dict[str, Any] = {}
