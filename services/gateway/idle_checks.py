"""What may end a session by itself, and how far off that is: only the scheduler knows."""

from collections.abc import Mapping
from typing import Any, Final

from shared.contracts.scheduler import GetSessionChecks, SessionCheck, SessionChecks
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient

ANSWER_S: Final = 1.0


class IdleChecks:
    """Asks the scheduler; not for lists, as it answers for one session at a time."""

    def __init__(self, queries: QueryClient) -> None:
        self._queries = queries

    async def of(self, session: Mapping[str, Any]) -> tuple[SessionCheck, ...] | None:
        """Return the checks in force for a session's document; None: the scheduler is away.

        Nothing is in force for services, nor before a session runs.
        """
        if session["status"] != "RUNNING" or session["type"] == "inference":
            return ()
        query = GetSessionChecks(session_id=session["id"])
        answer = await self._queries.ask(query, type=SessionChecks, timeout_s=ANSWER_S)
        return None if isinstance(answer, Rejection) else answer.checks
