"""The command to restart a session: looked up, then decided by the writer."""

from services.scheduler.agents_view import AgentsView
from services.scheduler.books import Books
from services.scheduler.domain.restarting import not_running, restart
from services.scheduler.writer import Decision, Outcome, Writer
from shared.contracts.scheduler import RestartSession
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection, not_found
from shared.messaging.commands import CommandContext


class RestartHandler:
    """Handles `RestartSession`."""

    def __init__(self, writer: Writer, event_log: EventLog, agents: AgentsView) -> None:
        self._writer = writer
        self._log = event_log
        self._agents = agents

    async def handle(self, command: RestartSession, context: CommandContext) -> Outcome:
        """Restart a session that runs; one that has ended can't be."""

        def decide(books: Books) -> Decision | Rejection:
            session = books.sessions.get(command.session_id)
            if session is None:
                is_known = command.session_id in books.ended
                return not_running("over") if is_known else _unknown(command)
            events = restart(
                session,
                kernel_ids=tuple(new_id() for _ in session.kernels),
                grace_s=command.grace_s,
                is_reachable=self._agents.is_alive,
            )
            return events if isinstance(events, Rejection) else Decision(events)

        outcome = await self._writer.submit(
            decide, context.meta, key=context.idempotency, deadline=context.deadline
        )
        if isinstance(outcome, Rejection) and outcome.kind == "not_found":
            stream = await self._log.load(stream_name("session", command.session_id))
            if stream.version:
                return not_running("over")
        return outcome


def _unknown(command: RestartSession) -> Rejection:
    return not_found("session", command.session_id[:64])
