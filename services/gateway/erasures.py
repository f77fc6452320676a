"""What the gateway itself keeps of persons who are erased: first answers, what they have chosen.

The read models blank themselves as they follow the event. Remembered answers and preferences are
deleted here: at the start, and whenever somebody has been erased; doing it again does no harm.
"""

import asyncio
from typing import Final

from services.gateway.http.idempotency import IdempotentAnswers
from services.gateway.http.outages import OUTAGES
from services.gateway.preferences import Preferences
from shared.contracts.users import UserErased
from shared.observability.logging import get_logger
from shared.projections.projection import Commit

log = get_logger(__name__)
RETRY_S: Final = 2.0


class Erasures:
    """Deletes what is remembered about persons who are erased."""

    def __init__(self, answers: IdempotentAnswers, preferences: Preferences) -> None:
        self._answers = answers
        self._preferences = preferences
        self._due = asyncio.Event()
        self._due.set()

    def committed(self, commit: Commit) -> None:
        """Follow a commit."""
        if any(isinstance(recorded.event, UserErased) for recorded in commit.events):
            self._due.set()

    async def run(self) -> None:
        """Delete what is due until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                answers = await self._answers.forget_erased()
                preferences = await self._preferences.forget_erased()
                log.debug("persons_erased", answers=answers, preferences=preferences)
            except OUTAGES as problem:
                log.warning("persons_not_erased", problem=repr(problem)[:200])
                self._due.set()
                await asyncio.sleep(RETRY_S)
