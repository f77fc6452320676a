"""How far a process is: the fold of what it has left in the log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from shared.contracts.base import Event
from shared.processes.events import ProcessAdvanced, RequestedCommand
from shared.processes.process import Process

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Generic[S]):
    """A process after `version` inputs; `open_requests` have no answer yet, by step."""

    process: Process[S]
    state: S
    version: int = 0
    taken: frozenset[str] = frozenset()
    requested: frozenset[str] = frozenset()
    open_requests: tuple[RequestedCommand, ...] = ()
    correlation_id: str = ""
    last_input_id: str = ""
    is_done: bool = False

    def after(self, event: Event) -> "Progress[S]":
        """Return the progress after one more event of the process's stream."""
        if not isinstance(event, ProcessAdvanced):
            raise TypeError(f"{type(event).__name__} is no event of a process")
        still_open = (*self.open_requests, *event.requested)
        return Progress(
            process=self.process,
            state=msgspec.convert(event.state, self.process.state_type),
            version=self.version + 1,
            taken=self.taken | {event.input_id},
            requested=self.requested.union(request.step for request in event.requested),
            open_requests=()
            if event.is_done
            else tuple(request for request in still_open if request.step != event.answered),
            correlation_id=event.correlation_id,
            last_input_id=event.input_id,
            is_done=event.is_done,
        )


def progress_of(process: Process[S], events: Iterable[Event]) -> Progress[S]:
    """Return the progress of a process whose stream holds `events`."""
    progress = Progress(process=process, state=process.initial)
    for event in events:
        progress = progress.after(event)
    return progress
