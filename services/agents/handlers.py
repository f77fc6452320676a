"""The commands of the agents service."""

from services.agents.registry import Registry
from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted
from shared.eventlog.outcomes import CommandRepeated, IdempotencyMismatch
from shared.messaging.commands import CommandContext, CommandServer, Outcome


class AgentHandlers:
    """Answers what administrators ask of agents."""

    def __init__(self, registry: Registry) -> None:
        """Act on what the registry knows."""
        self._registry = registry

    async def set_schedulable(
        self, command: SetAgentSchedulable, context: CommandContext
    ) -> Outcome:
        """Let an agent take new sessions, or not; repeated, it answers as the first time."""
        try:
            return await self._registry.set_schedulable(command, context.meta, context.idempotency)
        except CommandRepeated as repeated:
            return Accepted(
                service="agents", position=repeated.done.position, result=repeated.done.result
            )
        except IdempotencyMismatch as mismatch:
            return mismatch.rejection


def serve(commands: CommandServer, handlers: AgentHandlers) -> None:
    """Register every handler."""
    commands.handle(SetAgentSchedulable, handlers.set_schedulable)
