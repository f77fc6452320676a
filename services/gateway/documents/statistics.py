"""What became of the sessions of a span of time, in numbers."""

from datetime import datetime

import msgspec


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, in seconds; null where it happened to nobody."""

    count: int
    mean_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What sessions held within the span: amounts times hours. A GPU is an accelerator."""

    sessions: int
    cpu_hours: float
    gpu_hours: float
    mem_gib_hours: float


class UserUse(Use, frozen=True, kw_only=True):
    """The use of one user; `email` where the caller may see it."""

    user_id: str
    email: str | None = None


class GroupUse(Use, frozen=True, kw_only=True):
    """The use of one resource group."""

    resource_group: str


class SessionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions from a time to before another, as far as the caller sees them.

    `submitted` and the counts by status, type and result are of those created within. `waiting`
    is from creation to placement of those placed within, `running` from start to end of those that
    ended within. What is held counts from a session's last placement to its end. `users` and
    `resource_groups` are those who held the most processor hours, `use` is all of them.
    """

    since: datetime = msgspec.field(name="from")
    to: datetime
    submitted: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    by_result: dict[str, int]
    waiting: Durations
    running: Durations
    use: Use
    users: list[UserUse]
    resource_groups: list[GroupUse]
