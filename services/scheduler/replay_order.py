"""What the scheduler and the process that replays for it say to each other, a line each of JSON."""

from datetime import datetime

import msgspec

from services.scheduler.domain.resource_group import Defaults
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.forecast.fleet import AgentChange
from shared.contracts.scheduler import Comparison, Variation
from shared.kernel.rejections import Rejection


class ReplayOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be replayed, and all of it that the log does not tell.

    `agents_known_since`: how agents came and went before is not known. `limits` is by scope.
    """

    database_url: str
    group: str
    since: datetime
    until: datetime
    variation: Variation
    agents: tuple[AgentChange, ...]
    agents_known_since: datetime | None
    limits: dict[str, Ceiling]
    defaults: Defaults
    retry_s: float

    def __repr__(self) -> str:
        """Name the group only: the address of the database holds a password."""
        return f"ReplayOrder(group={self.group!r})"


class ReplayWord(msgspec.Struct, frozen=True, kw_only=True):
    """How far the process is; in its last line what came of it."""

    percent: int = 0
    comparison: Comparison | None = None
    rejection: Rejection | None = None
