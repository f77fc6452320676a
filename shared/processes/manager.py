"""Runs the processes of one kind: takes inputs, keeps the state in the log, sends the commands.

The order is what makes a crash harmless. An input is first appended, with the new state and what
is requested; then commands are sent, again and again, until they are answered; an answer is an
input like any other. Whatever was cut short is found again in the log when the service starts,
and a command that is sent twice is one command to its receiver, by its deterministic id.
"""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from shared.contracts.base import Actor, Meta, Reply
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import StreamConflict
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Claim, Recorded, Write
from shared.kernel.clock import Clock, SystemClock
from shared.processes.dispatch import Dispatch, Sender
from shared.processes.events import ProcessAdvanced, RequestedCommand, process_key
from shared.processes.process import (
    Answered,
    Due,
    Happened,
    Input,
    Process,
    Reaction,
)
from shared.processes.progress import Progress, progress_of
from shared.processes.timers import Timer, TimerQueue, cancel_timer, set_timer

S = TypeVar("S")

TRIES_MAX: Final = 5
RUNNING: Final = "running process"
_UNFINISHED: Final = "select value from claims where kind = $1 and owner = $2 order by value"


class ProcessManager(Generic[S]):
    """The processes of one kind, in the log of the service that runs them.

    Give it events with `take_event` (an event may come twice); `run` sends and resumes. Alarms
    come back through `timers`, which somebody else runs.
    """

    def __init__(
        self,
        process: Process[S],
        event_log: EventLog,
        sender: Sender,
        timers: TimerQueue,
        clock: Clock | None = None,
    ) -> None:
        self._process = process
        self._log = event_log
        self._timers = timers
        self._clock = clock or SystemClock()
        self._kind = f"process.{process.name}"
        self._taking = asyncio.Lock()
        self._dispatch = Dispatch(process.name, sender, self._take_answer, self._clock)
        timers.handle(self._kind, self._take_alarm)

    async def run(self) -> None:
        """Resume what is unfinished, then send what is requested, until cancelled."""
        await self._dispatch.run(self._resume)

    async def _resume(self) -> None:
        """Send again what has no answer yet. Processes that are not done hold a claim."""
        with reaching_postgres():
            rows = await self._log.pool.fetch(_UNFINISHED, RUNNING, self._process.name)
        for row in rows:
            process_id = row["value"].removeprefix(process_key(self._process.name, ""))
            self._send(process_id, await self._load(process_id))

    def _send(self, process_id: str, progress: Progress[S]) -> None:
        if progress.is_done:
            self._dispatch.drop(process_id)
        for request in progress.open_requests:
            meta = self._meta(progress.correlation_id, progress.last_input_id)
            self._dispatch.send(process_id, request, meta)

    async def take_event(self, recorded: Recorded) -> None:
        """Take an event of any service; returns once what follows from it is in the log."""
        process_id = self._process.concerns(recorded.event)
        if process_id is not None:
            happened = Happened(recorded.event, recorded.recorded_at)
            await self._take(process_id, recorded.event_id, happened, recorded.meta.correlation_id)

    async def _take_answer(self, process_id: str, step: str, reply: Reply) -> None:
        answered = Answered(step, reply, self._clock.now())
        await self._take(process_id, f"answer {step}", answered)

    async def _take_alarm(self, timer: Timer) -> None:
        process_id, alarm = timer.payload["process_id"], timer.payload["alarm"]
        input_id = f"alarm {alarm} {timer.due_at.isoformat()}"
        await self._take(process_id, input_id, Due(alarm, timer.due_at))

    async def _take(
        self, process_id: str, input_id: str, happened: Input, correlation_id: str = ""
    ) -> None:
        """React to an input that is new, append what follows, and have it sent."""
        async with self._taking:
            for attempt in range(1, TRIES_MAX + 1):
                progress = await self._load(process_id)
                if progress.is_done or input_id in progress.taken:
                    return
                reaction = self._process.react(progress.state, happened)
                if reaction == Reaction(progress.state):
                    return
                try:
                    advanced = await self._append(
                        process_id, input_id, happened, progress, reaction, correlation_id
                    )
                except StreamConflict:
                    if attempt == TRIES_MAX:
                        raise
                    continue
                self._timers.wake()
                self._send(process_id, progress.after(advanced))
                return

    async def _load(self, process_id: str) -> Progress[S]:
        key = process_key(self._process.name, process_id)
        stream = await self._log.load(stream_name(ProcessAdvanced.AGGREGATE, key))
        return progress_of(self._process, stream.events)

    async def _append(
        self,
        process_id: str,
        input_id: str,
        happened: Input,
        progress: Progress[S],
        reaction: Reaction[S],
        correlation_id: str,
    ) -> ProcessAdvanced:
        now = self._clock.now()
        advanced = ProcessAdvanced(
            process=self._process.name,
            process_id=process_id,
            input_id=input_id,
            correlation_id=progress.correlation_id or correlation_id or input_id,
            state=msgspec.to_builtins(reaction.state),
            requested=tuple(
                RequestedCommand(
                    step=request.step,
                    service=request.command.SERVICE,
                    command=msgspec.to_builtins(request.command),
                    give_up_at=now + timedelta(seconds=request.give_up_after_s),
                )
                for request in reaction.requests
                if request.step not in progress.requested
            ),
            answered=happened.step if isinstance(happened, Answered) else None,
            is_done=reaction.is_done,
        )
        running = Claim(RUNNING, advanced.key(), self._process.name)
        await self._log.append(
            [Write(self._log.codec.stream_of(advanced), progress.version, [advanced])],
            self._meta(advanced.correlation_id, input_id),
            claims=() if reaction.is_done else (running,),
            releases=(running,) if reaction.is_done else (),
            within=partial(self._set_alarms, process_id, reaction),
        )
        return advanced

    async def _set_alarms(self, process_id: str, reaction: Reaction[S], connection: Any) -> None:
        prefix = f"{self._kind}.{process_id}."
        if reaction.is_done:
            await connection.execute("delete from timers where starts_with(timer_id, $1)", prefix)
            return
        for alarm in reaction.alarms:
            timer_id = f"{prefix}{alarm.name}"
            if alarm.due_at is None:
                await cancel_timer(connection, timer_id)
            else:
                payload = {"process_id": process_id, "alarm": alarm.name}
                await set_timer(connection, Timer(timer_id, alarm.due_at, self._kind, payload))

    def _meta(self, correlation_id: str, cause: str) -> Meta:
        actor = Actor(kind="service", id=self._log.service)
        return Meta(actor=actor, correlation_id=correlation_id, causation_id=cause)
