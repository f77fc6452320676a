"""The single writer: all that changes sessions goes through here, in batches, one commit each.

A batch decides every waiting job against the books, lets the queues place what can be placed
now, appends everything at once under the leader's epoch, and only then answers. When it is not
known whether an append has happened, the books are folded anew from the log.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias, TypeVar

from services.scheduler.answers import Answers
from services.scheduler.batch import Batch
from services.scheduler.books import Books
from services.scheduler.reads import Reads
from shared.contracts.base import Accepted, Event, Meta
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import AppendRefusedError, LogUnavailable, StaleEpoch
from shared.eventlog.records import CommandKey
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger
from shared.observability.metrics import counter, histogram

log = get_logger(__name__)
T = TypeVar("T")

WAITING_MAX: Final = 4096
JOBS_MAX: Final = 256
EVENTS_MAX: Final = 2048
EXPIRED_MAX: Final = 512
PLACED_MAX: Final = 1024
REFOLD_PAUSE_MAX_S: Final = 5.0
RETRY_S: Final = 1.0
# The wall clock may be set forward: nobody tells, so nothing due is slept through for longer.
SLEEP_MAX_S: Final = 60.0

_placed = counter("scheduler_placed_total", "Sessions that got a place.", ())
_batch_events = histogram("scheduler_batch_events", "Events in one commit.", ())


class Decision(NamedTuple):
    """Events to append, and what the answer shall hold."""

    events: tuple[Event, ...]
    result: dict[str, object] = {}


Decide: TypeAlias = Callable[[Books], Decision | Rejection]
Outcome: TypeAlias = Accepted | Rejection
Committed: TypeAlias = Callable[[Books, Sequence[Event]], None]
Refold: TypeAlias = Callable[[], Awaitable[Books]]
Confirm: TypeAlias = Callable[[], Awaitable[None]]


class Job(NamedTuple):
    """Something to decide, and who waits for it."""

    decide: Decide
    meta: Meta
    key: CommandKey | None
    deadline: datetime | None
    answer: asyncio.Future[Outcome]


class Writer:
    """Owns the books of the leader. `committed` is told what each commit has made true.

    `confirm` is asked before anything is told that no append stands for; it raises StaleEpoch
    when another leads, whose books these are not.
    """

    def __init__(
        self,
        event_log: EventLog,
        books: Books,
        *,
        epoch: int,
        refold: Refold,
        committed: Committed,
        confirm: Confirm,
        clock: Clock,
        retry_s: float = RETRY_S,
    ) -> None:
        self._log = event_log
        self.books = books
        self.position = 0
        self._epoch = epoch
        self._refold = refold
        self._committed = committed
        self._confirm = confirm
        self._clock = clock
        self._retry_s = retry_s
        self._answers = Answers(event_log)
        self._waiting: deque[Job] = deque()
        self._reads = Reads()
        self._is_over = False
        self._wake = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._waiting)

    async def submit(
        self,
        decide: Decide,
        meta: Meta,
        *,
        key: CommandKey | None = None,
        deadline: datetime | None = None,
    ) -> Outcome:
        """Have something decided and, unless refused, made durable."""
        if self._is_over:
            return unavailable("not_leader", "Another scheduler has taken over; try again.")
        if len(self._waiting) >= WAITING_MAX:
            return unavailable("overloaded", "Too much waits to be scheduled; try again.")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(Job(decide, meta, key, deadline, answer))
        self._wake.set()
        return await answer

    async def read(self, look: Callable[[Books], T]) -> T:
        """Look at the books between two commits, when all that is in them is durable.

        Raises LogUnavailable once another scheduler leads.
        """
        found = self._reads.add(look)
        self._wake.set()
        return await found

    async def hold(self, work: Callable[[Books], Awaitable[T]]) -> T:
        """Do something between two commits, while nothing is decided; raises as `read` does."""
        found = self._reads.add_work(work)
        self._wake.set()
        return await found

    def replace(self, books: Books) -> None:
        """Go on with other books, folded up to the last commit."""
        self.books = books
        self._committed(books, ())
        self._wake.set()

    def poke(self) -> None:
        """Look whether a pass is due: something outside the log has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; raises StaleEpoch when another leader has taken over."""
        try:
            await self._work()
        finally:
            # nobody waits for what these books will not decide any more
            self._is_over = True
            self._give_up(self._waiting, "not_leader", "This scheduler has stopped; try again.")
            self._waiting.clear()
            self._reads.end()

    async def _work(self) -> None:
        self.position = await self._log.head()
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._answer_reads()
            while self._waiting or self._is_pass_due():
                await self._turn()
                await self._answer_reads()
            self._plan_retry()
            self._set_alarm()

    def _is_pass_due(self) -> bool:
        return self.books.agenda.is_due(self._clock.now()) or any(
            queue.planner.due and len(queue.planner.queue) for queue in self.books.queues.values()
        )

    async def _answer_reads(self) -> None:
        if self._reads:
            # without the log nobody can have taken over: what these books say is still true
            with suppress(LogUnavailable):
                await self._confirm()
        await self._reads.answer(lambda: self.books)

    async def _turn(self) -> None:
        """Do one batch: decide, place, append, answer."""
        jobs = self._take()
        try:
            known = await self._answers.known([job.key for job in jobs if job.key])
            batch = Batch(self.books, self._clock.now())
            batch.expire(EXPIRED_MAX)
            for index, job in enumerate(jobs):
                if len(batch.events) >= EVENTS_MAX:
                    self._waiting.extendleft(reversed(jobs[index:]))
                    del jobs[index:]
                    break
                if job.key and (first := known.get(job.key.key)) is not None:
                    batch.settle(job.answer, first)
                else:
                    batch.decide(job)
            placed = batch.place(PLACED_MAX)
            await self._commit(batch)
        except LogUnavailable as problem:
            log.warning("log_away", problem=str(problem), jobs=len(jobs))
            self._give_up(jobs, "log_away", "The log can't be reached at the moment; try again.")
            await self._fold_again()
        except StaleEpoch:
            self._give_up(jobs, "not_leader", "Another scheduler has taken over; try again.")
            raise
        except AppendRefusedError as problem:
            log.error("append_refused", problem=str(problem))  # noqa: TRY400  # no bug of ours
            self._give_up(jobs, "log_away", "The log has refused; try again.")
            await self._fold_again()
        else:
            _placed.inc(placed)

    async def _commit(self, batch: Batch) -> None:
        if batch.writes or batch.done:
            appended = await self._log.append(
                batch.writes, batch.meta, commands=batch.done, epoch=self._epoch
            )
            self.position = appended.last
            _batch_events.observe(len(batch.events))
            self._committed(self.books, batch.events)
        else:
            await self._confirm()
        batch.answer(self.position)

    def _take(self) -> list[Job]:
        """Take the next jobs; a repetition of one of them waits for the next batch."""
        jobs: list[Job] = []
        keys: set[str] = set()
        now = self._clock.now()
        while self._waiting and len(jobs) < JOBS_MAX:
            job = self._waiting[0]
            if job.key is not None and job.key.key in keys:
                break
            self._waiting.popleft()
            if job.answer.done() or (job.deadline is not None and job.deadline <= now):
                _settle(job.answer, unavailable("deadline_passed", "It came too late."))
                continue
            if job.key is not None:
                keys.add(job.key.key)
            jobs.append(job)
        return jobs

    def _give_up(self, jobs: Iterable[Job], code: str, message: str) -> None:
        for job in jobs:
            _settle(job.answer, unavailable(code, message, retry_after_s=2))

    async def _fold_again(self) -> None:
        """Fold the books from the log; patient, because nothing can be done without."""
        pause_s = 0.1
        while True:
            try:
                books = await self._refold()
                self.position = await self._log.head()
            except LogUnavailable:
                # what waits meanwhile is dropped when its deadline has passed
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, REFOLD_PAUSE_MAX_S)
            else:
                self.replace(books)
                return

    def _plan_retry(self) -> None:
        """Let time count as a try for a blocked head that may yet be passed over."""
        if self._retry is None and any(
            queue.planner.wants_retry() for queue in self.books.queues.values()
        ):
            self._retry = asyncio.get_running_loop().call_later(self._retry_s, self._try_again)

    def _set_alarm(self) -> None:
        """Wake up when the next thing is due that nobody will tell of."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        next_at = self.books.agenda.next_at
        if next_at is not None:
            wait_s = (next_at - self._clock.now()).total_seconds()
            self._alarm = asyncio.get_running_loop().call_later(
                min(max(wait_s, 0.0), SLEEP_MAX_S), self._wake.set
            )

    def _try_again(self) -> None:
        self._retry = None
        for queue in self.books.queues.values():
            if queue.planner.wants_retry():
                queue.planner.due = True
        self._wake.set()


def _settle(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)
