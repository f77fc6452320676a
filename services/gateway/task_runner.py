"""Runs tasks piece by piece, whoever began them, and goes on where another runner has stopped.

A piece may be done twice, when its runner dies before it could be kept: whatever does the work
must give the same outcome again. What is away is waited for; who has lost the right to begin
such a task does not see it go on either.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

from services.gateway.auth.directory import Directory
from services.gateway.auth.permissions import RULES
from services.gateway.http.outages import OUTAGES
from services.gateway.http.problems import Refused
from services.gateway.task_table import LEASE_S, HeldTask, Piece, State, TaskTable
from shared.kernel.cancelling import cancel
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.observability.logging import get_logger

log = get_logger(__name__)
POLL_S: Final = 2.0
BEAT_S: Final = LEASE_S / 3
PAUSE_FIRST_S: Final = 0.5
PAUSE_LAST_S: Final = 8.0
GIVE_UP_S: Final = 3_600.0
SHOWN_FOR: Final = timedelta(minutes=15)
KEPT_FOR: Final = timedelta(days=1)
_STOP_S: Final = 5.0


class Work(Protocol):
    """How tasks of one kind are done."""

    @property
    def action(self) -> str:
        """What the owner of a task must be allowed to do while it runs."""
        ...

    async def piece(self, task: HeldTask, first: int) -> Piece:
        """Do some units of work from `first` on; raises Refused (503) to be asked again."""
        ...

    async def visible(self, task: HeldTask, done: int) -> None:
        """Wait until what was done, `done` units of it, can be seen; not for ever."""
        ...


class TaskRunner:
    """One task after the other; several of these may run, in several processes."""

    def __init__(
        self, table: TaskTable, kinds: Mapping[str, Work], directory: Directory, clock: Clock
    ) -> None:
        self._table = table
        self._kinds = kinds
        self._directory = directory
        self._clock = clock
        self._name = new_id()
        self._begun = asyncio.Event()

    def wake(self) -> None:
        """Look for a task at once."""
        self._begun.set()

    async def run(self) -> None:
        """Run tasks until cancelled; what was begun goes on in another process."""
        while True:
            self._begun.clear()
            try:
                task = await self._table.claim(self._name, self._kinds)
                if task is not None:
                    await self._hold(task)
                    continue
                now = self._clock.now()
                await self._table.forget(shown_before=now - SHOWN_FOR, ended_before=now - KEPT_FOR)
            except OUTAGES as problem:
                log.warning("tasks_wait", problem=repr(problem)[:200])
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._begun.wait()

    async def _hold(self, task: HeldTask) -> None:
        """Carry a task out while giving proof of life."""
        log.info("task_begins", task_id=task.task_id, kind=task.kind, done=task.done)
        beating = asyncio.create_task(self._beat(task))
        try:
            await self._carry_out(task)
        finally:
            await cancel((beating,), _STOP_S)

    async def _beat(self, task: HeldTask) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._table.beat(task, self._name)
            except OUTAGES as problem:
                log.warning("task_beat_missed", problem=repr(problem)[:200])

    async def _carry_out(self, task: HeldTask) -> None:
        work, first = self._kinds[task.kind], task.done
        state: State = "cancel" if task.is_cancel_asked else "go_on"
        waited_s = 0.0
        while state == "go_on" and first < task.total:
            if not self._may(task.owner, work.action):
                await work.visible(task, first)
                await self._end_failed(task, first, "not_permitted", "Its owner may not do this.")
                return
            try:
                piece = await work.piece(task, first)
            except Refused as refused:
                # what is refused for good will be refused another time as well
                if waited_s > GIVE_UP_S or refused.rejection.kind != "unavailable":
                    code = refused.rejection.code
                    await self._end_failed(task, first, code, refused.rejection.message)
                    return
                state, waited_s = await self._wait(task, refused.rejection, waited_s)
                continue
            waited_s = 0.0
            state = await self._table.keep(task, self._name, first, piece)
            first += len(piece.outcome)
        if state != "lost":
            await work.visible(task, first)
        if first >= task.total:
            await self._table.end(task, self._name, "done", "")
        elif state == "cancel":
            text = f"Cancelled after {first} of {task.total}."
            await self._table.end(task, self._name, "cancelled", text)
        log.info("task_ends", task_id=task.task_id, state=state, done=first)

    async def _wait(
        self, task: HeldTask, rejection: Rejection, waited_s: float
    ) -> tuple[State, float]:
        """Pause, longer each time; returns how to go on and for how long it has waited."""
        pause_s = min(max(PAUSE_FIRST_S, waited_s), PAUSE_LAST_S)
        state = await self._table.beat(task, self._name, f"Waiting: {rejection.message}")
        if state == "go_on":
            await asyncio.sleep(pause_s)
        return state, waited_s + pause_s

    async def _end_failed(self, task: HeldTask, first: int, code: str, why: str) -> None:
        text = f"Stopped after {first} of {task.total}: {why}"
        await self._table.end(task, self._name, "failed", text, code)

    def _may(self, owner: str, action: str) -> bool:
        user = self._directory.users.get(owner)
        return (
            user is not None
            and user.status == "active"
            and RULES[action].scope(user.role) != "none"
        )
