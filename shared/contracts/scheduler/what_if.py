"""What if: a recorded period of a group's queue, replayed under other options."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from shared.contracts.base import Query
from shared.contracts.scheduler.groups import AgentSelection, SchedulerType

NoteCode = Literal[
    "limits-as-now",
    "other-groups-left-out",
    "agents-not-known",
    "run-times-guessed",
    "waits-cut-off",
]


class Variation(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise than it was; None and 0 are as recorded.

    Of the last three one is given at most: agents like those that were there are added, the last
    ones by id are left out, or their number is scaled.
    """

    scheduler: SchedulerType | None = None
    retries_to_skip: int | None = None
    agent_selection_strategy: AgentSelection | None = None
    add_agents: int = 0
    remove_agents: int = 0
    scale_agents: float | None = None


class ReplayQueue(Query, frozen=True, tag="ReplayQueue"):
    """Ask for the comparison of a period; asked again, it tells how far it is.

    The answer comes after `wait_s` at the latest. Equal questions share one replay, which goes on
    as long as somebody asks for it.
    """

    SERVICE: ClassVar = "scheduler"
    resource_group: str
    since: datetime
    until: datetime
    variation: Variation = Variation()
    wait_s: float = 0.0


class WaitingTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions waited, in seconds."""

    mean_s: float
    p50_s: float
    p95_s: float
    max_s: float


class UserWaits(msgspec.Struct, frozen=True, kw_only=True):
    """How one user's sessions fared; `slowdown` is the mean of their bounded slowdowns."""

    user_id: str
    sessions: int
    waiting: WaitingTimes
    slowdown: float


class ReplayFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the sessions fared whose turn to wait came within the period.

    Those that still wait at its end, or gave up, count with what they have waited by then.
    `fairness` is Jain's index of the users' slowdowns: 1 when all fare alike, towards 0 when few
    bear it all. `utilisation` is what was handed out of what there was, by slot, 0 to 1.
    """

    sessions: int
    started: int
    gave_up: int
    still_waiting: int
    waiting: WaitingTimes | None
    fairness: float | None
    users_total: int
    users: tuple[UserWaits, ...]
    utilisation: dict[str, float]


class ReplayNote(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a replay from being exact."""

    code: NoteCode
    message: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A period as it was, replayed unchanged, and as it would have been.

    The replay of what was says how far replays can be trusted: it should come near the record.
    `running_before` and `waiting_before` sessions were there at the beginning; they take part and
    are not counted.
    """

    resource_group: str
    since: datetime
    until: datetime
    variation: Variation
    agents: int
    agents_what_if: int
    running_before: int
    waiting_before: int
    recorded: ReplayFigures
    replayed: ReplayFigures
    what_if: ReplayFigures
    notes: tuple[ReplayNote, ...]


class QueueReplay(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is, in percent; the comparison when it is done."""

    percent: int
    comparison: Comparison | None = None
