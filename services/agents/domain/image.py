"""An image that some agent can run."""

from typing import Final

import msgspec

from shared.contracts.agents import AgentsEvent, ImageDiscovered
from shared.contracts.base import Event, Slots

HOST_IMAGE: Final = "local/host:latest"
# What a process of the machine itself needs at the very least; the node enforces no less.
HOST_MINIMUM: Final[Slots] = {"cpu": 100, "mem": 64 * 2**20}
HOST_LABELS: Final = {"description": "The machine's own programs, read-only."}


class Image(msgspec.Struct, frozen=True):
    """An image's state."""

    known: bool = False


INITIAL: Final = Image()


class Discover(msgspec.Struct, frozen=True, kw_only=True):
    """An agent says that it can run an image."""

    canonical: str
    architecture: str


def evolve(state: Image, event: Event) -> Image:
    """Return the state after an event; one of another kind changes nothing."""
    return Image(known=True) if isinstance(event, ImageDiscovered) else state


def decide(state: Image, command: Discover, _context: None = None) -> tuple[AgentsEvent, ...]:
    """Return the discovery of an image that was not known."""
    if state.known:
        return ()
    is_host = command.canonical == HOST_IMAGE
    return (
        ImageDiscovered(
            canonical=command.canonical,
            architecture=command.architecture,
            digest="",
            size_bytes=0,
            labels=HOST_LABELS if is_host else {},
            minimum=HOST_MINIMUM if is_host else {},
        ),
    )
