"""What a recalculation of usage found, as it is told to people."""

from typing import Literal

import msgspec

from shared.contracts.scheduler.usage import DifferenceKind


class DifferenceDocument(msgspec.Struct, kw_only=True):
    """What was otherwise than it should be, and what it is now.

    The scheduler's kinds are those of `UsageDifference`; `shown-usage` and `shown-pending` are
    counters of the read models, of what somebody holds and waits for.
    """

    kind: Literal[DifferenceKind, "shown-usage", "shown-pending"]
    agent_id: str | None = None
    scope: str | None = None
    slot: str | None = None
    session_id: str | None = None
    kernel_id: str | None = None
    before: str
    after: str


class UsageResult(msgspec.Struct, kw_only=True):
    """The first differences, and how many were found and corrected."""

    differences: list[DifferenceDocument]
    corrected: int
