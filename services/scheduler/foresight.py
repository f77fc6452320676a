"""How far ahead is looked, and how what is found is told as moments."""

from datetime import datetime, timedelta
from typing import Final

from services.scheduler.forecast.estimate import Wait
from shared.contracts.scheduler import EstimatedStart

FORESEEN_MAX: Final = 200
RUNNING_MAX: Final = 2_000
AGENTS_MAX: Final = 1_000


def estimated(now: datetime, wait: Wait, begins: datetime | None = None) -> EstimatedStart:
    """Return moments, to the second, for a wait that begins now; none is before `begins`."""

    def after(seconds: float) -> datetime:
        moment = now + timedelta(seconds=int(seconds))
        return moment if begins is None else max(moment, begins)

    return EstimatedStart(
        low=after(wait.low_s), likely=after(wait.likely_s), high=after(wait.high_s)
    )
