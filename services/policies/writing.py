"""How every handler of this service writes: one command at a time, each done once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from services.policies.domain import settings
from services.policies.domain.maxima import Maxima
from services.policies.domain.settings import Settings
from shared.contracts.base import Accepted
from shared.contracts.policies import SETTINGS_ID
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.records import Claim, Stream, Write
from shared.messaging.answering import answer_once
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

SERVICE: Final = "policies"
SETTINGS: Final = Decider(settings.INITIAL, settings.evolve, settings.decide)
SETTINGS_STREAM: Final = stream_name("settings", SETTINGS_ID)

logger = get_logger(__name__)


class Writing:
    """The log of the policies service, and whose turn it is.

    The commands are rare and rest on each other (the maxima, the default policy), so one is done
    after the other; what another process writes meanwhile is a conflict, and decided again.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._turn = asyncio.Lock()

    async def once(
        self, context: CommandContext, work: Callable[[], Awaitable[Outcome]]
    ) -> Outcome:
        """Do a command in its turn, or return its first answer."""
        async with self._turn:
            return await answer_once(self._log, context.idempotency, work)

    async def load(self, stream: str) -> Stream:
        """Return the events of a stream."""
        return await self._log.load(stream)

    async def settings(self) -> tuple[int, Settings]:
        """Return the version of the settings and what they are."""
        loaded = await self._log.load(SETTINGS_STREAM)
        return loaded.version, SETTINGS.fold(loaded.events)

    async def maxima(self) -> Maxima:
        """Return the most that policies may give now."""
        _, state = await self.settings()
        return settings.maxima(state)

    async def owner_of(self, claim: Claim) -> str | None:
        """Return who holds a name, whoever the claim is for."""
        return await self._log.owner_of(claim.kind, claim.value)

    async def append(
        self,
        context: CommandContext,
        writes: Sequence[Write],
        *,
        claims: Sequence[Claim] = (),
        releases: Sequence[Claim] = (),
        result: dict[str, Any] | None = None,
    ) -> Accepted:
        """Append what was decided, all of it or nothing; raises what `EventLog.append` does."""
        changes = [write for write in writes if write.events]
        appended = await self._log.append(
            changes,
            context.meta,
            claims=claims,
            releases=releases,
            command=context.idempotency,
            result=result,
        )
        for write in changes:
            logger.info("policies_changed", stream=write.stream, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last, result=result or {})

    async def checked(self) -> Accepted:
        """Answer a command that was only to be checked and has passed."""
        return Accepted(service=SERVICE, position=await self._log.head())
