"""Recalculating usage: the books against the log they come from, and against what nodes have."""

from typing import ClassVar, Literal

import msgspec

from shared.contracts.base import Command, Event

USAGE_ID = "cluster"
DIFFERENCES_MAX = 1000

DifferenceKind = Literal[
    "agent-usage",
    "scope-usage",
    "pending-usage",
    "session-state",
    "kernel-not-booked",
    "kernel-not-there",
]


class UsageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What was otherwise than it should be, and what it is now.

    The first three are amounts of a slot (`sessions` and `kernels` count themselves): what an agent
    has handed out, what a scope such as `keypair:AK…` holds, what waits under a keypair. A
    session's state differs from its log. Of kernels, one runs that nobody booked, or one is booked
    that its node does not have.
    """

    kind: DifferenceKind
    agent_id: str | None = None
    scope: str | None = None
    slot: str | None = None
    session_id: str | None = None
    kernel_id: str | None = None
    before: str
    after: str


class RecalculateUsage(Command, frozen=True, tag="RecalculateUsage"):
    """Compare and correct; the result has `differences` and how many were `corrected`.

    Refused as unavailable while it goes on: asked again under the same key it tells the outcome.
    """

    SERVICE: ClassVar = "scheduler"


class UsageRecalculated(Event, frozen=True, tag="UsageRecalculated"):
    """Differences were found and corrected; the first ones, and how many there were."""

    AGGREGATE: ClassVar[str] = "usage"
    differences: tuple[UsageDifference, ...]
    corrected: int

    def key(self) -> str:
        """Return the id of the one cluster."""
        return USAGE_ID
