"""Answers what would have been: replays run in processes of their own, one after the other.

A replay lives as long as somebody asks for it; a new leader begins it anew when asked.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from services.scheduler.replay_order import ReplayOrder, ReplayWord
from shared.contracts.scheduler import Comparison, QueueReplay, ReplayQueue
from shared.kernel.cancelling import cancel
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

log = get_logger(__name__)
RUNS_MAX: Final = 8
KEPT_S: Final = 30.0  # how long nobody may ask for a replay before it is given up
WAIT_MAX_S: Final = 10.0
DEADLINE_S: Final = 600.0
LINE_MAX: Final = 1 << 20
STOP_S: Final = 5.0

Order: TypeAlias = Callable[[ReplayQueue], Awaitable[ReplayOrder | Rejection]]


class _Run:
    """One replay: how far it is, what came of it, and when it is given up."""

    def __init__(self) -> None:
        self.percent = 0
        self.outcome: Comparison | Rejection | None = None
        self.over = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._lapse: asyncio.TimerHandle | None = None

    def asked(self) -> None:
        """Note that somebody wants to know."""
        if self._lapse is not None:
            self._lapse.cancel()
        if self.task is not None:
            self._lapse = asyncio.get_running_loop().call_later(KEPT_S, self.task.cancel)

    def forget(self) -> None:
        """Note that it is no more."""
        if self._lapse is not None:
            self._lapse.cancel()


class Replays:
    """Runs replays; `order` makes out of a question what its process needs, or refuses it."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._runs: dict[bytes, _Run] = {}
        self._turn = asyncio.Semaphore(1)

    async def answer(self, query: ReplayQueue) -> QueueReplay | Rejection:
        """Tell how far a replay is, which begins with the first question."""
        key = msgspec.json.encode(msgspec.structs.replace(query, wait_s=0.0))
        if key not in self._runs:
            order = await self._order(query)
            if isinstance(order, Rejection):
                return order
            if key not in self._runs:  # somebody else may have asked meanwhile
                if len(self._runs) >= RUNS_MAX:
                    text = "Too many replays are asked for; try again when some have ended."
                    return unavailable("too_many_replays", text, retry_after_s=10)
                self._begin(key, order)
        run = self._runs[key]
        run.asked()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(query.wait_s, WAIT_MAX_S)):
                await run.over.wait()
        if isinstance(run.outcome, Rejection):
            return run.outcome
        return QueueReplay(percent=run.percent, comparison=run.outcome)

    async def stop(self) -> None:
        """End all replays."""
        await cancel([run.task for run in self._runs.values() if run.task], STOP_S)

    def _begin(self, key: bytes, order: ReplayOrder) -> None:
        run = self._runs[key] = _Run()
        run.task = asyncio.create_task(self._carry_out(key, run, order))

    async def _carry_out(self, key: bytes, run: _Run, order: ReplayOrder) -> None:
        try:
            async with self._turn:
                run.outcome = await _outcome(run, order)
            run.over.set()
            if isinstance(run.outcome, Rejection) and run.outcome.kind == "unavailable":
                return  # another time it may do
            await asyncio.Event().wait()  # until it lapses
        finally:
            run.forget()
            del self._runs[key]


async def _outcome(run: _Run, order: ReplayOrder) -> Comparison | Rejection:
    """Have a process replay, and return what came of it; it ends with whoever waits here."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.scheduler.replay_worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_MAX,
    )
    log.info("replay_begins", group=order.group, pid=process.pid)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _hear(process, run, order)
    except TimeoutError:
        text = f"The replay took more than {DEADLINE_S:.0f} seconds; ask for a shorter period."
        return Rejection(kind="invalid", code="replay_too_long", message=text)
    except (OSError, ValueError) as problem:
        log.warning("replay_broken", problem=repr(problem)[:200])
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        log.info("replay_ended", group=order.group, exit_status=process.returncode)
    return unavailable("replay_failed", "The replay has failed; try again.", retry_after_s=5)


async def _hear(
    process: asyncio.subprocess.Process, run: _Run, order: ReplayOrder
) -> Comparison | Rejection:
    """Give the order and follow the words; raises OSError when the process ends without a last."""
    if process.stdin is None or process.stdout is None:
        raise OSError("the process has no pipes")
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    await process.stdin.drain()
    word = ReplayWord()
    async for line in process.stdout:
        word = msgspec.json.decode(line, type=ReplayWord)
        run.percent = word.percent
    await process.wait()
    outcome = word.comparison or word.rejection
    if outcome is None:
        raise OSError("it ended without a last word")
    return outcome
