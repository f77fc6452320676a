"""Answers what would become of sessions if they were submitted now; nothing is written.

Judged is between two commits, on copies; the placing itself is done off the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

import msgspec

from services.scheduler.books import Books
from services.scheduler.forecast.dry_run import Waits, dry_run
from services.scheduler.forecast.estimate import waits
from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.snapshot import Snapshot, take
from services.scheduler.foresight import AGENTS_MAX, FORESEEN_MAX, RUNNING_MAX, estimated
from services.scheduler.placement.model import Placed, Waiting
from services.scheduler.waiting_room import Held, held_of
from services.scheduler.writer import Outcome, Writer
from shared.contracts.base import Accepted
from shared.contracts.scheduler import (
    EnqueueSession,
    EstimatedStart,
    SessionEnqueued,
    SimulatedKernel,
    SimulatedSession,
    SimulateSession,
    Simulation,
)
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext

AT_ONCE_MAX: Final = 2
TOLD_MAX: Final = 100
KERNELS_TOLD_MAX: Final = 1_000
LAST_TURN: Final = 1 << 62  # behind all that were ever enqueued

Judge: TypeAlias = Callable[[Books], tuple[SessionEnqueued, ...] | Rejection]
Judging: TypeAlias = Callable[[EnqueueSession], Awaitable[Judge | Rejection]]


class _Question(NamedTuple):
    """What was found between two commits: the newcomers and `ahead`, how many wait already.

    Without a `past` no start can be estimated.
    """

    events: tuple[SessionEnqueued, ...]
    held: tuple[Held, ...]
    snapshot: Snapshot
    past: Experience | None
    ahead: int
    now: datetime
    position: int


class Simulator:
    """Handles `SimulateSession`; a few at once, the others wait for their turn."""

    def __init__(self, writer: Writer, judging: Judging, clock: Clock) -> None:
        self._writer = writer
        self._judging = judging
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def handle(self, command: SimulateSession, context: CommandContext) -> Outcome:  # noqa: ARG002  # whoever asks, nothing is written in his name
        """Tell what enqueueing would bring."""
        judge = await self._judging(command.enqueue)
        if isinstance(judge, Rejection):
            return judge
        async with self._turns:
            question = await self._writer.read(lambda books: self._ask(judge, books))
            if isinstance(question, Rejection):
                return question
            found = await asyncio.to_thread(_answer, question)
        return Accepted(
            service="scheduler", position=question.position, result=msgspec.to_builtins(found)
        )

    def _ask(self, judge: Judge, books: Books) -> _Question | Rejection:
        events = judge(books)
        if isinstance(events, Rejection):
            return events
        now = self._clock.now()
        held = tuple(
            held_of(event, LAST_TURN + turn, now, books.sessions)
            for turn, event in enumerate(events)
        )
        group = events[0].resource_group
        planner = books.queues[group].planner
        foreseeable = [one.waiting for one in held if not one.waits_for]
        running, past = None, books.past.of(group)
        is_short = len(planner.queue) + len(foreseeable) <= FORESEEN_MAX
        if past.run_times.is_known and is_short and len(planner.index.rows) <= AGENTS_MAX:
            running = books.past.running(
                group, books.sessions, books.cluster.holdings, now, RUNNING_MAX
            )
        snapshot = take(planner, foreseeable, running or ())
        known = None if running is None else past.copied(snapshot, foreseeable)
        ahead = len(planner.queue) + len(books.waiting_room.of(group))
        return _Question(events, held, snapshot, known, ahead, now, self._writer.position)


def _answer(question: _Question) -> Simulation:
    """Place the newcomers on the copy; takes up to some tenths of a second."""
    newcomers = [one.waiting for one in question.held if one.may_go]
    placed = dry_run(question.snapshot, newcomers)
    estimates = _estimates(question, newcomers, placed)
    starting = sum(isinstance(what, Placed) for what in placed.values())
    sessions: list[SimulatedSession] = []
    kernels = 0
    behind = question.ahead
    for event, held in zip(question.events, question.held, strict=True):
        kernels += len(event.kernels)
        if sessions and (len(sessions) >= TOLD_MAX or kernels > KERNELS_TOLD_MAX):
            break
        behind += not held.may_go
        told = _told(event, held, placed, behind)
        estimate = estimates.get(event.session_id)
        sessions.append(msgspec.structs.replace(told, estimated_start=estimate))
    return Simulation(
        resource_group=question.events[0].resource_group,
        total=len(question.events),
        starting_now=starting,
        sessions=tuple(sessions),
        position=question.position,
        adjustments=question.events[0].adjustments,
    )


def _estimates(
    question: _Question, newcomers: list[Waiting], found: Mapping[str, Placed | Waits]
) -> dict[str, EstimatedStart]:
    """Return when those will start that wait, as far as that can be told."""
    begins = {one.waiting.session_id: one.begins_at for one in question.held if one.begins_at}
    wanted = [session_id for session_id, what in found.items() if isinstance(what, Waits)]
    wanted.extend(begins)
    if question.past is None or not wanted:
        return {}
    coming = [
        ((begins[one.waiting.session_id] - question.now).total_seconds(), one.waiting)
        for one in question.held
        if one.waiting.session_id in begins
    ]
    foreseen = waits(question.snapshot, newcomers, question.past, wanted, coming)
    return {
        session_id: estimated(question.now, wait, begins.get(session_id))
        for session_id, wait in foreseen.items()
    }


def _told(
    event: SessionEnqueued, held: Held, found: Mapping[str, Placed | Waits], behind: int
) -> SimulatedSession:
    """Return what becomes of one; `behind` is its position when it may not start yet."""
    if not held.may_go:
        return SimulatedSession(
            name=event.name, starts_now=False, position=behind, reason=held.reason()
        )
    what = found[event.session_id]
    if isinstance(what, Waits):
        return SimulatedSession(
            name=event.name, starts_now=False, position=what.position, reason=what.reason
        )
    hostnames = {kernel.kernel_id: kernel.hostname for kernel in event.kernels}
    return SimulatedSession(
        name=event.name,
        starts_now=True,
        kernels=tuple(
            SimulatedKernel(
                hostname=hostnames[place.kernel_id], agent_id=place.agent_id, devices=place.devices
            )
            for place in what.kernels
        ),
    )
