"""Composes the policies service."""

from services.policies.deletion import Deletion
from services.policies.handlers import serve
from services.policies.policies import Policies
from services.policies.presets import Presets
from services.policies.seed import sow
from services.policies.system_settings import SystemSettings
from services.policies.writing import Writing
from shared.contracts.policies import DeletePolicy
from shared.contracts.users import PolicyRetired
from shared.eventlog.codec import EventCodec
from shared.eventlog.codecs import codec_for
from shared.processes.feed import EventFeed
from shared.runtime.service import ServiceRuntime, run_service


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts."""
    log = await runtime.event_log(codec_for("policies"))
    await sow(log)
    writing = Writing(log)
    serve(runtime.commands, Policies(writing), Presets(writing), SystemSettings(writing))
    deletion = Deletion(log, runtime.command_client, runtime.clock)
    runtime.commands.handle(DeletePolicy, deletion.delete)
    retired = {"users": EventCodec("users", PolicyRetired)}
    feed = EventFeed("deletions", log.pool, runtime.nats, retired, deletion.take)
    runtime.background("deletions", feed.run())


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("policies", compose)
