"""A process manager as a pure function: what has come about -> what to ask for next.

    def react(state: Cloning, happened: Input) -> Reaction[Cloning]: ...

A process is driven by three kinds of input: an event of any service, the answer to a command it
has requested, and an alarm it has set. It has no clock and makes no ids: times come with the
inputs, and a command's id follows from the process and the name of the step. The same input twice
is one input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeAlias, TypeVar
from uuid import UUID, uuid5

import msgspec

from shared.contracts.base import Command, Event, Reply

S = TypeVar("S")

GIVE_UP_AFTER_S: Final = 3600.0
_COMMANDS: Final = UUID("0b2f7f0e-6f3d-5d0b-9f0e-2f5f3f2f9a11")


class Happened(msgspec.Struct, frozen=True):
    """An event of some service that concerns the process."""

    event: Event
    at: datetime


class Answered(msgspec.Struct, frozen=True):
    """The answer to the command of a step.

    A service that cannot be reached is asked again; only when that has lasted too long is the
    answer a rejection of kind `unavailable`, and then the command may or may not have been done.
    """

    step: str
    reply: Reply
    at: datetime


class Due(msgspec.Struct, frozen=True):
    """An alarm of the process has gone off; `at` is when it was due."""

    alarm: str
    at: datetime


Input: TypeAlias = Happened | Answered | Due


class Request(msgspec.Struct, frozen=True):
    """A command to be sent until it is answered. A step is requested once in a process's life."""

    step: str
    command: Command
    give_up_after_s: float = GIVE_UP_AFTER_S


class Alarm(msgspec.Struct, frozen=True):
    """Wake the process at a time; None takes the alarm of that name back."""

    name: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reaction(Generic[S]):
    """What an input leads to; `is_done` ends the process: alarms and open requests lapse."""

    state: S
    requests: tuple[Request, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    is_done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Generic[S]):
    """The rules of one kind of process.

    `concerns` names the process that an event belongs to, None for an event of no interest; an
    event starts a process where `react` on `initial` changes anything. `state_type` is a msgspec
    type with nothing secret in it: the state is kept in the log.
    """

    name: str
    state_type: type[S]
    initial: S
    concerns: Callable[[Event], str | None]
    react: Callable[[S, Input], Reaction[S]]


def command_id(process: str, process_id: str, step: str) -> str:
    """Return the id of a step's command: the same whenever and wherever it is sent."""
    return str(uuid5(_COMMANDS, f"{process}\n{process_id}\n{step}"))
