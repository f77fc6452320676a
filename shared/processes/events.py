"""What a process leaves in the log of the service that runs it.

A service that runs processes adds ProcessAdvanced to the union of its events.
"""

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from shared.contracts.base import Event


class RequestedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is sent until it is answered or `give_up_at` has passed."""

    step: str
    service: str
    command: dict[str, Any]
    give_up_at: datetime


class ProcessAdvanced(Event, frozen=True, tag="ProcessAdvanced"):
    """A process took one input; `state` is what it is now, `requested` what it asks for.

    `input_id` identifies the input, so that it is taken once; `answered` is the step whose answer
    it was. `correlation_id` is that of the event which began the process.
    """

    AGGREGATE: ClassVar[str] = "process"
    process: str
    process_id: str
    input_id: str
    correlation_id: str
    state: dict[str, Any]
    requested: tuple[RequestedCommand, ...] = ()
    answered: str | None = None
    is_done: bool = False

    def key(self) -> str:
        """Return the process's name and id."""
        return process_key(self.process, self.process_id)


def process_key(process: str, process_id: str) -> str:
    """Return the key of a process's stream."""
    return f"{process}.{process_id}"
