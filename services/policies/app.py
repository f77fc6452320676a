"""Composes the policies service."""

from services.policies.seed import sow
from shared.eventlog.codecs import codec_for
from shared.runtime.service import ServiceRuntime, run_service


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts."""
    await sow(await runtime.event_log(codec_for("policies")))


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("policies", compose)
