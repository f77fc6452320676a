"""One batch of the writer: events decided against the books, laid out for one append."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Final

from services.scheduler.books import Books
from services.scheduler.domain import deadlines, session_rules
from services.scheduler.placement.model import Placed
from shared.contracts.base import Accepted, Actor, Event, Meta
from shared.contracts.scheduler import KernelPlacement, SessionCancelled
from shared.eventlog.appending import CommandResult
from shared.eventlog.codec import stream_name
from shared.eventlog.records import Write
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

if TYPE_CHECKING:
    from services.scheduler.writer import Job

log = get_logger(__name__)

SCHEDULER: Final = Actor(kind="service", id="scheduler")


class Batch:
    """What one commit shall hold, and who is to be told. The books have taken it in already."""

    def __init__(self, books: Books, now: datetime) -> None:
        self._books = books
        self._now = now
        self.meta = Meta(actor=SCHEDULER, correlation_id=new_id())
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.done: list[CommandResult] = []
        self._answers: list[
            tuple[asyncio.Future[Accepted | Rejection], dict[str, object] | Accepted | Rejection]
        ] = []
        self._metas: dict[str, Meta] = {}

    def settle(
        self, answer: asyncio.Future[Accepted | Rejection], outcome: Accepted | Rejection
    ) -> None:
        """Answer with something that is already known, after the commit."""
        self._answers.append((answer, outcome))

    def decide(self, job: "Job") -> None:
        """Decide a job; a refusal waits for the commit too: it may rest on what is in it."""
        try:
            decision = job.decide(self._books)
        except Exception:  # a bug in one decision: nothing is applied yet, the others go on
            log.exception("decision_failed", correlation_id=job.meta.correlation_id)
            decision = unavailable("internal_error", "The scheduler failed on this command.")
        if isinstance(decision, Rejection):
            self._answers.append((job.answer, decision))
            return
        self._add(decision.events, job.meta)
        if job.key is not None:
            self.done.append(CommandResult(job.key, decision.result))
        self._answers.append((job.answer, decision.result))

    def expire(self, limit: int) -> None:
        """Do what only the clock tells of: let sessions begin, and end what is overdue."""
        while len(self.events) < limit and (due := self._books.agenda.take(self._now)) is not None:
            if due.is_start:
                self._books.begin(due.session.session_id)
                continue
            session = due.session
            events = deadlines.overdue(session, self._now, self._books.is_reachable, due.reason)
            log.info(
                "session_overdue",
                session_id=session.session_id,
                status=session.status,
                reason=due.reason,
            )
            self._add(events, self._meta_of(session.session_id))

    def place(self, limit: int) -> int:
        """Let every queue whose state has changed place sessions; return how many got a place."""
        count = 0
        for queue in self._books.queues.values():
            if not queue.planner.due or count >= limit:
                continue
            for placed in queue.planner.run(limit - count).placed:
                self._schedule(placed)
                count += 1
        return count

    def answer(self, position: int) -> None:
        """Tell everybody; `position` is where all of it can be seen."""
        for answer, outcome in self._answers:
            if answer.done():
                continue
            if isinstance(outcome, dict):
                answer.set_result(Accepted(service="scheduler", position=position, result=outcome))
            else:
                answer.set_result(outcome)

    def _schedule(self, placed: Placed) -> None:
        session = self._books.sessions[placed.session_id]
        rows = self._books.cluster.rows
        placements = tuple(
            KernelPlacement(
                kernel_id=kernel.kernel_id,
                agent_id=kernel.agent_id,
                incarnation=rows[kernel.agent_id].agent.incarnation,
                devices=kernel.devices,
            )
            for kernel in placed.kernels
        )
        meta = self._meta_of(placed.session_id)
        self._add(session_rules.place(session, placements), meta)

    def _meta_of(self, session_id: str) -> Meta:
        """Return what the scheduler's own events of a session say of where they come from."""
        correlation_id = self._books.correlations.get(session_id, "")
        meta = self._metas.get(correlation_id)
        if meta is None:
            meta = Meta(actor=SCHEDULER, correlation_id=correlation_id)
            self._metas[correlation_id] = meta
        return meta

    def _add(self, events: tuple[Event, ...], meta: Meta) -> None:
        for event in events:
            version = self._books.version(event)
            self._books.apply(event, meta.correlation_id, self._now)
            self.events.append(event)
            stream = stream_name(event.AGGREGATE, event.key())
            self.writes.append(Write(stream, version, (event,), meta))
        while self._books.doomed:
            session_id, culprit = self._books.doomed.popitem()
            detail = f"It depended on {culprit}, which has not ended well."
            cancelled = SessionCancelled(
                session_id=session_id, reason="dependency-failed", detail=detail
            )
            self._add((cancelled,), self._meta_of(session_id))
