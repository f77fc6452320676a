"""One kernel of this node: brings what runs to what is desired, step by durable step.

The order is always journal, then deed. A crash between them leaves a deed undone that the next
daemon finds in the journal, and the runtime's own traces tell whether it was done after all.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from services.agents.node.domain.kernel import (
    ENDED,
    NEVER_RAN,
    Ending,
    Record,
    Step,
    StopKind,
    Undecided,
    Unnamed,
    Wish,
    is_news,
    judge_end,
    next_step,
    stop_reason,
    stops_at_once,
    wanted_stop,
)
from services.agents.node.image_check import make_sure_of_image
from services.agents.node.journal import Journal
from services.agents.node.runtime import (
    Exit,
    KernelJob,
    KernelKey,
    Observation,
    Runtime,
    StartRefusedError,
)
from shared.contracts.kernels import KernelPresence, KernelSpec
from shared.kernel.clock import Clock

KILL_PATIENCE_S: Final = 10.0
DEFAULT_GRACE_S: Final = 10
JobMaker = Callable[[Record], KernelJob]
_log = structlog.get_logger(__name__)


class KernelWorker:
    """Runs until the kernel is forgotten; `wish` steers it, `presence` is what it tells."""

    def __init__(
        self,
        kernel_id: str,
        *,
        journal: Journal,
        runtime: Runtime,
        make_job: JobMaker,
        clock: Clock,
        launches: asyncio.Semaphore,
        on_change: Callable[[], None],
    ) -> None:
        """Serve one kernel; `launches` bounds how many of all workers launch at a time."""
        self._kernel_id = kernel_id
        self._journal = journal
        self._runtime = runtime
        self._make_job = make_job
        self._clock = clock
        self._launches = launches
        self._on_change = on_change
        self._wish: Wish = Undecided()
        self._woken = asyncio.Event()
        self._record: Record | None = None
        self._signalled: StopKind | None = None
        self._kill_due: float | None = None
        self._launched = 0

    @property
    def wish(self) -> Wish:
        """What is desired of the kernel, as far as it is known."""
        return self._wish

    def steer(self, wish: Wish) -> None:
        """Take note of what is desired; an older wish changes nothing."""
        if is_news(self._wish, wish):
            self._wish = wish
            self._woken.set()

    def wake(self) -> None:
        """Look again: a report has been accepted."""
        self._woken.set()

    def presence(self) -> KernelPresence | None:
        """Return what the heartbeat says of the kernel."""
        if self._record is None:
            return None
        spec = self._record.spec
        return KernelPresence(
            session_id=spec.session_id,
            kernel_id=spec.kernel_id,
            attempt=spec.attempt,
            phase=self._record.phase,
        )

    def living(self) -> KernelSpec | None:
        """Return what the kernel was asked to be while it holds resources."""
        if self._record is None or self._record.phase in ENDED:
            return None
        return self._record.spec

    async def load(self) -> None:
        """Read what the journal knows; without it, `run` does so first."""
        self._record = await self._journal.newest(self._kernel_id)

    def is_done(self) -> bool:
        """Tell whether the kernel is forgotten and nobody has wanted it since."""
        return self._record is None and isinstance(self._wish, Unnamed)

    async def wait_woken(self, at_most_s: float) -> None:
        """Wait for another wish, but not for long."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._woken.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Take steps until the kernel is forgotten."""
        await self.load()
        while True:
            self._woken.clear()
            seen = await self._look()
            settled = await self._is_settled()
            step = next_step(
                self._record,
                self._wish,
                seen.presence,
                settled=settled,
                began=has_begun(seen),
                launched=self._launched,
            )
            if step == "forget":
                await self._forget()
                return
            await self._take_step(step, seen)

    async def _is_settled(self) -> bool:
        if self._record is None or self._record.phase not in ENDED:
            return True
        return await self._journal.settled(self._key(self._record))

    async def _forget(self) -> None:
        if self._record is not None:
            await self._runtime.trim(self._key(self._record))
        await self._journal.forget(self._kernel_id)
        self._record = None
        self._on_change()

    async def _look(self) -> Observation:
        if self._record is None or self._record.phase in ENDED:
            return Observation(presence="absent")
        return await self._runtime.inspect(self._key(self._record))

    async def _take_step(self, step: Step, seen: Observation) -> None:
        if step in {"take", "decline"} and isinstance(self._wish, KernelSpec):
            await self._take_up(self._wish, run=step == "take")
        elif self._record is None or step == "wait":
            await self._wait(seen)
        elif step == "launch":
            await self._launch(self._record)
        elif step == "give_up":
            error = "It was launched several times and never began."
            exit_ = Exit(code=None, at=self._clock.now(), error=error)
            await self._withdraw(self._record, judge_end(self._record, exit_))
        elif step == "forbid":
            kind = self._record.stop or wanted_stop(self._record, self._wish) or "asked"
            ending = Ending(phase="terminated", reason=stop_reason(kind), detail=NEVER_RAN)
            await self._withdraw(self._record, ending)
        elif step == "confirm_running":
            at = seen.started_at or self._clock.now()
            self._change(await self._journal.running(self._record, at))
        elif step == "stop":
            await self._stop(self._record, seen)
        elif step == "finish":
            await self._finish(self._record, seen.exit)

    async def _take_up(self, spec: KernelSpec, *, run: bool) -> None:
        now = self._clock.now()
        self._signalled = self._kill_due = None
        self._launched = 0
        if run:
            self._change(await self._journal.take(spec, now))
            return
        reason = stop_reason("forced" if spec.forced else "asked")
        ending = Ending(phase="terminated", reason=reason, detail=NEVER_RAN)
        self._change(await self._journal.decline(spec, ending, now))

    async def _launch(self, record: Record) -> None:
        try:
            job = self._make_job(record)
            await make_sure_of_image(self._runtime, job)
            async with self._launches:
                await self._runtime.prepare(job)
                record = self._record = await self._journal.launching(record)
                self._launched += 1
                await self._runtime.start(job, record.launch)
        except StartRefusedError as refusal:
            ending = Ending(phase="failed", reason=refusal.reason, detail=str(refusal))
            await self._withdraw(record, ending)

    async def _withdraw(self, record: Record, ending: Ending) -> None:
        """End a kernel that has not begun; if it has begun meanwhile, the next look tells."""
        if await self._runtime.forbid(self._key(record)):
            await self._end(record, ending, self._clock.now())

    async def _stop(self, record: Record, seen: Observation) -> None:
        kind = wanted_stop(record, self._wish) or record.stop or "asked"
        if record.stop is None or (stops_at_once(kind) and not stops_at_once(record.stop)):
            record = await self._decide_stop(record, kind)
        if self._kill_due is None or self._signalled != record.stop:
            self._kill_due = self._clock.monotonic() + self._grace_left_s(record)
        force = self._kill_due <= self._clock.monotonic()
        if force or self._signalled != record.stop:
            self._signalled = record.stop
            await self._runtime.stop(self._key(record), force=force)
            if force:
                self._kill_due = self._clock.monotonic() + KILL_PATIENCE_S
        await self._wait(seen)

    async def _decide_stop(self, record: Record, kind: StopKind) -> Record:
        grace_s = 0 if stops_at_once(kind) else self._grace_s(record)
        kill_at = self._clock.now() + timedelta(seconds=grace_s)
        record = await self._journal.stopping(record, kind, kill_at)
        self._change(record)
        return record

    def _grace_s(self, record: Record) -> int:
        wish = self._wish
        if isinstance(wish, KernelSpec) and wish.attempt == record.spec.attempt:
            return wish.grace_s
        return DEFAULT_GRACE_S

    def _grace_left_s(self, record: Record) -> float:
        # The wall clock may have jumped since it was written: never more than a whole grace.
        if record.kill_at is None:
            return 0.0
        left = (record.kill_at - self._clock.now()).total_seconds()
        return max(0.0, min(left, float(self._grace_s(record))))

    async def _finish(self, record: Record, exit_: Exit | None) -> None:
        at = exit_.at if exit_ is not None else self._clock.now()
        await self._end(record, judge_end(record, exit_), at)

    async def _end(self, record: Record, ending: Ending, at: datetime) -> None:
        """Free everything first, so that who hears of the end finds the room free."""
        await self._runtime.collect(self._key(record))
        self._change(await self._journal.ended(record, ending, at))
        _log.info(
            "kernel_ended",
            kernel=str(self._key(record)),
            session=record.spec.session_id,
            reason=ending.reason,
            exit_code=ending.exit_code,
            detail=ending.detail,
        )

    async def _wait(self, seen: Observation) -> None:
        """Wait for another wish, for the runtime to see something else, or to lose patience."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._woken.wait())]
        if self._record is not None and seen.presence in {"starting", "running"}:
            key = self._key(self._record)
            waits.append(asyncio.ensure_future(self._runtime.wait_change(key, seen.presence)))
        left_s = None
        if self._kill_due is not None:
            left_s = max(0.0, self._kill_due - self._clock.monotonic())
        try:
            done, _ = await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for one in done:
            one.result()

    def _change(self, record: Record) -> None:
        self._record = record
        self._on_change()

    @staticmethod
    def _key(record: Record) -> KernelKey:
        return KernelKey(record.spec.kernel_id, record.spec.attempt)


def has_begun(seen: Observation) -> bool:
    """Tell whether a command is known to have run."""
    return seen.started_at is not None and (seen.exit is None or seen.exit.code is not None)
