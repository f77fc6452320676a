"""What would become of a session if it were submitted now: asked, and nothing is changed."""

from typing import ClassVar

import msgspec

from shared.contracts.base import Command
from shared.contracts.scheduler.adjustments import Adjustment
from shared.contracts.scheduler.queue import EstimatedStart, Reason
from shared.contracts.scheduler.sessions import EnqueueSession


class SimulateSession(Command, frozen=True, tag="SimulateSession"):
    """Tell what enqueueing would bring, or refuse what that would be refused for.

    A command, so that what the asker was told before holds for it; it changes nothing. The result
    holds a `Simulation`.
    """

    SERVICE: ClassVar = "scheduler"
    enqueue: EnqueueSession


class SimulatedKernel(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kernel would run, and how much it would take of which device, by slot."""

    hostname: str
    agent_id: str
    devices: dict[str, dict[str, int]] = {}


class SimulatedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one session: a place at once, or a `position` and a `reason` to wait.

    `position` starts at 1; None when it would start, or when the queue is too long to be told. A
    start is estimated where enough is known of how long sessions run, and not too much waits.
    """

    name: str
    starts_now: bool
    kernels: tuple[SimulatedKernel, ...] = ()
    position: int | None = None
    reason: Reason | None = None
    estimated_start: EstimatedStart | None = None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, as of a log position. Of many equal sessions the first ones are told.

    `adjustments` are what would be changed about the request of each kernel.
    """

    resource_group: str
    total: int
    starting_now: int
    sessions: tuple[SimulatedSession, ...]
    position: int
    adjustments: tuple[Adjustment, ...] = ()
