"""Commands about resource groups: decided by the writer, between two passes."""

from collections.abc import Callable
from itertools import chain, islice

from services.scheduler.books import Books
from services.scheduler.domain import resource_group as rules
from services.scheduler.domain.resource_group import REFERENCES_MAX, Context, Reference
from services.scheduler.writer import Decision, Outcome, Writer
from shared.contracts.scheduler import DeleteResourceGroup, GroupCommand, SchedulerType
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext


class GroupHandlers:
    """Creates, changes and deletes groups; `new_scheduler` tells what a new one has by default."""

    def __init__(self, writer: Writer, new_scheduler: Callable[[], SchedulerType]) -> None:
        self._writer = writer
        self._new_scheduler = new_scheduler

    async def handle(self, command: GroupCommand, context: CommandContext) -> Outcome:
        """Carry out one command; what it changes holds for the next pass."""

        def decide(books: Books) -> Decision | Rejection:
            queue = books.queues.get(command.name)
            found = self._context(books, command)
            events = rules.decide(queue.group if queue else None, command, found)
            return events if isinstance(events, Rejection) else Decision(events)

        return await self._writer.submit(
            decide, context.meta, key=context.idempotency, deadline=context.deadline
        )

    def _context(self, books: Books, command: GroupCommand) -> Context:
        groups = (queue.group for queue in books.queues.values())
        default = next((group.name for group in groups if group.is_default), None)
        if not isinstance(command, DeleteResourceGroup):
            return Context(default=default, scheduler=self._new_scheduler())
        agents = [
            Reference("agent", agent.agent_id)
            for agent in books.agents()
            # one that is lost, if it ever comes back, falls to the default group
            if agent.group == command.name and agent.alive
        ]
        sessions = [
            session.session_id
            for session in books.sessions.values()
            if session.request.resource_group == command.name
        ]
        some = chain(agents, (Reference("session", one) for one in sessions))
        return Context(
            default=default,
            references=tuple(islice(some, REFERENCES_MAX)),
            count=len(agents) + len(sessions),
        )
