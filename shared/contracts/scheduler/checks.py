"""What may end a running session although nobody asked for it, and how far off that is."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from shared.contracts.base import Query

CheckName = Literal["session_lifetime", "network_timeout", "utilization"]


class GetSessionChecks(Query, frozen=True, tag="GetSessionChecks"):
    """Ask what may end a session by itself; answered with `SessionChecks`."""

    SERVICE: ClassVar = "scheduler"
    session_id: str


class CheckDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What a check judges by. `limit_s` is the lifetime, the time-out, or the window's length.

    `measured_percent` are the means of the window so far, of what the session was given; nothing
    is judged before `judged_from`, which is null while there is nothing to judge.
    """

    limit_s: int
    last_used_at: datetime | None = None
    operator: Literal["and", "or"] | None = None
    thresholds_percent: dict[str, int] = {}
    measured_percent: dict[str, float] = {}
    judged_from: datetime | None = None


class SessionCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check that is in force. It ends the session at `ends_at` if nothing changes.

    Null: as things are it does not end it.
    """

    check: CheckName
    ends_at: datetime | None
    remaining_s: int | None = None
    detail: CheckDetail


class SessionChecks(msgspec.Struct, frozen=True, kw_only=True):
    """The checks in force for one session; none unless it runs."""

    checks: tuple[SessionCheck, ...]
