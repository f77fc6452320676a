"""Composes the modelstore service."""

from shared.eventlog.codecs import codec_for
from shared.runtime.service import ServiceRuntime, run_service


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts: an empty log and its relay."""
    await runtime.event_log(codec_for("modelstore"))


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("modelstore", compose)
