"""Sends the commands that processes have requested, each until it is answered."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import reduce
from operator import or_
from typing import Any, Final, Protocol

import msgspec

from shared.contracts.base import Command, Meta, Rejected, Reply, ServiceName
from shared.contracts.catalog import VOCABULARIES
from shared.eventlog.outcomes import LogUnavailable, StreamConflict
from shared.eventlog.records import CommandKey
from shared.kernel.cancellation import is_wanted
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger
from shared.processes.events import RequestedCommand
from shared.processes.process import command_id

log = get_logger(__name__)

SENDING_MAX: Final = 16
SEND_TIMEOUT_S: Final = 10.0
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 15.0


class Sender(Protocol):
    """Sends commands; `CommandClient` is one."""

    async def send(
        self,
        command: Command,
        *,
        meta: Meta,
        idempotency: CommandKey | None = None,
        timeout_s: float = SEND_TIMEOUT_S,
        command_id: str | None = None,
    ) -> Reply:
        """Send a command and return its answer; silence is a rejection `unavailable`."""
        ...


TakeAnswer = Callable[[str, str, Reply], Awaitable[None]]


class Dispatch:
    """The open requests of one kind of process: a task each, a bounded number sending at once.

    `take_answer(process_id, step, reply)` has put the answer into the log when it returns.
    """

    def __init__(self, process: str, sender: Sender, take_answer: TakeAnswer, clock: Clock) -> None:
        self._process = process
        self._sender = sender
        self._take_answer = take_answer
        self._clock = clock
        self._slots = asyncio.Semaphore(SENDING_MAX)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self, resume: Callable[[], Awaitable[None]]) -> None:
        """Call `resume` until it has succeeded, then send what is given, until cancelled.

        Ends with the error of a `take_answer` that fails otherwise than for a log that is away.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await _until_the_log_is_there(resume)
                await asyncio.get_running_loop().create_future()  # only ends by being cancelled
            finally:
                self._group = None

    def send(self, process_id: str, request: RequestedCommand, meta: Meta) -> None:
        """Send a request unless it is being sent; before `run` it is left for `resume`."""
        name = (process_id, request.step)
        if self._group is None or name in self._tasks:
            return
        task = self._group.create_task(self._send(process_id, request, meta))
        self._tasks[name] = task
        task.add_done_callback(lambda _task: self._tasks.pop(name, None))

    def drop(self, process_id: str) -> None:
        """Stop sending for a process that is done."""
        for (owner, _step), task in tuple(self._tasks.items()):
            if owner == process_id and task is not asyncio.current_task():
                task.cancel()

    async def _send(self, process_id: str, request: RequestedCommand, meta: Meta) -> None:
        command = _command(request)
        identity = command_id(self._process, process_id, request.step)
        body = msgspec.json.encode(request.command, order="deterministic")
        key = CommandKey(f"process:{identity}", hashlib.sha256(body).hexdigest())
        pause_s = RETRY_MIN_S
        while is_wanted():
            async with self._slots:
                reply = await self._sender.send(
                    command,
                    meta=meta,
                    idempotency=key,
                    timeout_s=SEND_TIMEOUT_S,
                    command_id=identity,
                )
            if not _is_silence(reply) or self._clock.now() >= request.give_up_at:
                break
            log.info("command_unanswered", process=self._process, step=request.step)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)
        await _until_the_log_is_there(lambda: self._take_answer(process_id, request.step, reply))


async def _until_the_log_is_there(action: Callable[[], Awaitable[None]]) -> None:
    """Do what writes to the log, again while it is away; a process has nothing else to do."""
    pause_s = RETRY_MIN_S
    while is_wanted():
        try:
            await action()
        except (LogUnavailable, StreamConflict) as problem:
            log.warning("process_waits", problem=str(problem))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)
        else:
            return


def _is_silence(reply: Reply) -> bool:
    return isinstance(reply, Rejected) and reply.rejection.kind == "unavailable"


def _command(request: RequestedCommand) -> Command:
    """Return the command as its type; raises ValidationError when it is not in the contracts."""
    service: ServiceName = msgspec.convert(request.service, ServiceName)
    known: Any = reduce(or_, VOCABULARIES[service].commands)
    command: Command = msgspec.convert(request.command, known)
    return command
