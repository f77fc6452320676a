"""An image that some agent can run."""

from typing import Final

import msgspec

from shared.contracts.agents import AgentsEvent, ImageDiscovered
from shared.contracts.base import Event, Slots
from shared.kernel.image_labels import minimum_of

HOST_IMAGE: Final = "local/host:latest"
# What a process of the machine itself needs at the very least; the node enforces no less.
HOST_MINIMUM: Final[Slots] = {"cpu": 100, "mem": 64 * 2**20}
HOST_LABELS: Final = {"description": "The machine's own programs, read-only."}


class Image(msgspec.Struct, frozen=True):
    """An image's state; `labels` are those that were found last."""

    known: bool = False
    labels: dict[str, str] = {}


INITIAL: Final = Image()


class Discover(msgspec.Struct, frozen=True, kw_only=True):
    """An agent says that it can run an image.

    `labels` None: it says nothing new of them. Of several agents that say different things the
    last one counts.
    """

    canonical: str
    architecture: str
    labels: dict[str, str] | None = None


def evolve(state: Image, event: Event) -> Image:
    """Return the state after an event; one of another kind changes nothing."""
    return Image(known=True, labels=event.labels) if isinstance(event, ImageDiscovered) else state


def decide(state: Image, command: Discover, _context: None = None) -> tuple[AgentsEvent, ...]:
    """Return the discovery of an image that was not known, or not with these labels."""
    if state.known and command.labels is None:
        return ()
    is_host = command.canonical == HOST_IMAGE
    labels = {**(HOST_LABELS if is_host else {}), **(command.labels or {})}
    if state.known and labels == state.labels:
        return ()
    least = HOST_MINIMUM if is_host else {}
    named = minimum_of(labels)
    return (
        ImageDiscovered(
            canonical=command.canonical,
            architecture=command.architecture,
            digest="",
            size_bytes=0,
            labels=labels,
            minimum={
                slot: max(least.get(slot, 0), named.get(slot, 0))
                for slot in sorted({*least, *named})
            },
        ),
    )
