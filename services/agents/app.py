"""Composes the agents service."""

from services.agents.handlers import AgentHandlers, serve
from services.agents.registry import Registry
from services.agents.settings import AgentsSettings
from shared.contracts.agents import Heartbeat
from shared.contracts.subjects import all_heartbeats
from shared.eventlog.codecs import codec_for
from shared.messaging import telemetry
from shared.messaging.connection import on_reconnect
from shared.projections.replica import Replica
from shared.runtime.service import ServiceRuntime, run_service


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts."""
    settings = runtime.settings
    if not isinstance(settings, AgentsSettings):
        raise TypeError("the agents service needs its own settings")
    log = await runtime.event_log(codec_for("agents"))
    nats = runtime.nats
    registry = Registry(
        log,
        runtime.clock,
        timeout_s=settings.agent_timeout_s,
        hears=lambda: bool(nats.is_connected),
    )
    await registry.load()

    async def forgive() -> None:
        registry.forgive()

    on_reconnect(nats, forgive)
    groups = Replica(nats, ("scheduler",), {"scheduler": codec_for("scheduler")}, registry.learn)
    runtime.background("groups", groups.run())
    runtime.background("welcome", registry.welcome())
    runtime.background("watch", registry.watch())
    await telemetry.subscribe(nats, all_heartbeats(), Heartbeat, registry.hear)
    serve(runtime.commands, AgentHandlers(registry))


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("agents", compose, AgentsSettings)
