"""The scheduler put together: books, writer, publisher and what they hear from others."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.scheduler.agents_past import AgentsPast
from services.scheduler.agents_view import AgentsView
from services.scheduler.batch import SCHEDULER
from services.scheduler.books import Books
from services.scheduler.domain import resource_group, session_rules
from services.scheduler.domain.deadlines import HANG_TIMEOUT_S
from services.scheduler.domain.session import SessionFact
from services.scheduler.folding import Folding
from services.scheduler.foreseeing import Foreseer
from services.scheduler.idle_watch import IdleWatch
from services.scheduler.limits_view import LimitsView
from services.scheduler.node_differences import NodeDifferences
from services.scheduler.publisher import Publisher
from services.scheduler.queue_view import QueueTeller
from services.scheduler.reconciling import Reconciler
from services.scheduler.users_view import UsersView
from services.scheduler.writer import Decide, Decision, Writer
from shared.contracts.activity import SessionActivity
from shared.contracts.agents import Heartbeat
from shared.contracts.base import Event, Meta
from shared.contracts.kernels import EndReason, KernelSpec
from shared.contracts.scheduler import SessionRestarted
from shared.eventlog.log import EventLog
from shared.eventlog.records import Recorded
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.observability.logging import get_logger
from shared.observability.metrics import gauge

log = get_logger(__name__)

_live = gauge("scheduler_live_sessions", "Sessions that have not ended.", ())
_pending = gauge("scheduler_pending_sessions", "Sessions that wait for a place.", ("group",))

INSIST_TRIES: Final = 20
INSIST_PAUSE_S: Final = 0.5


class Scheduler:
    """The leader's working state. Until `open`, others' events are only remembered."""

    def __init__(
        self, event_log: EventLog, clock: Clock, *, hang_timeout_s: float = HANG_TIMEOUT_S
    ) -> None:
        self._log = event_log
        self._clock = clock
        self._hang_timeout_s = hang_timeout_s
        self.agents = AgentsView()
        self.agents_past = AgentsPast()
        self.users = UsersView()
        self.limits = LimitsView()
        self.idle = IdleWatch()
        self._reconciler = Reconciler()
        self.nodes = NodeDifferences()
        self._writer: Writer | None = None
        self._publisher: Publisher | None = None
        self._teller: QueueTeller | None = None
        self._foreseer: Foreseer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def folding(self) -> Folding:
        """Return books of nothing, to be folded."""
        return Folding(self.empty(), self._log)

    async def fold(self, begun: Folding | None = None) -> Books:
        """Return the books as the log has them now, with the agents and limits known now."""
        folding = begun or self.folding()
        await folding.catch_up()
        self._tell(folding.books)
        return folding.books

    def empty(self) -> Books:
        """Return books of nothing."""
        return Books(hang_timeout_s=self._hang_timeout_s, idle=self.idle)

    def learn(self, source: str, recorded: Recorded) -> None:
        """Take in an event of another service."""
        event = recorded.event
        if source == "agents":
            self._learn_of_agents(recorded)
            return
        if source == "users":
            self.users.apply(event)
        scopes = self.limits.apply(event)
        fetch = self.limits.policies.image_auto_pull != "none"
        changed = self.agents.let_fetch(allowed=fetch)
        if self._writer is None:
            return
        books = self._writer.books
        for agent in changed:
            books.put_agent(agent)
        for scope in scopes:
            books.set_limits(scope, self.limits.ceiling(scope))
        books.set_defaults(self.limits.defaults())
        books.agenda.set_idle_rules(self.limits.policies.idle_rules)
        # what is allowed to start now starts now
        self._writer.poke()

    def _learn_of_agents(self, recorded: Recorded) -> None:
        agent_id = self.agents.apply(recorded.event)
        if agent_id is None:
            return
        agent = self.agents.agents[agent_id]
        self.agents_past.changed(agent, recorded.recorded_at)
        log.debug("agent_learned", agent_id=agent_id, incarnation=agent.incarnation)
        if self._writer is None:
            return
        self._writer.books.put_agent(agent)
        self._writer.poke()
        self._changed()
        if self.agents.superseded.get(agent_id):
            self._later(self._lose_superseded(agent_id), f"incarnation of {agent_id}")

    def open(
        self, writer: Writer, publisher: Publisher, teller: QueueTeller, foreseer: Foreseer
    ) -> None:
        """Start to act: from now on what others tell has consequences."""
        self._writer, self._publisher = writer, publisher
        self._teller, self._foreseer = teller, foreseer
        self.idle.begin(self._clock.now())
        self._tell(writer.books)
        self._later(_seed, "seed")
        for agent_id in self.agents.superseded:
            self._later(self._lose_superseded(agent_id), f"incarnation of {agent_id}")
        self.compare_all()

    def _tell(self, books: Books) -> None:
        """Put into the books all that others have told."""
        for agent in self.agents.agents.values():
            books.put_agent(agent)
        books.set_defaults(self.limits.defaults())
        books.agenda.set_idle_rules(self.limits.policies.idle_rules)
        for scope in self.limits.scopes():
            books.set_limits(scope, self.limits.ceiling(scope))

    def compare_all(self) -> None:
        """Have the bucket compared with the books, between two commits."""

        def decide(books: Books) -> Decision:
            self._require_publisher().compare_all(books)
            return Decision(())

        self._later(decide, "compare")

    def committed(self, books: Books, events: Sequence[Event]) -> None:
        """Pass on what a commit has made true; without events the books were folded anew."""
        publisher = self._require_publisher()
        if events:
            publisher.committed(books, events)
            self._look_after(books, events)
        else:
            self._tell(books)
            publisher.compare_all(books)
        _live.set(len(books.sessions))
        for name, queue in books.queues.items():
            waiting = len(queue.planner.queue) + len(books.waiting_room.of(name))
            _pending.labels(name).set(waiting)
        self._changed()

    def _look_after(self, books: Books, events: Sequence[Event]) -> None:
        """Give up what starts anew where an agent has lost its memory while it was restarted."""
        for event in events:
            if isinstance(event, SessionRestarted) and event.session_id in books.sessions:
                for place in event.placements:
                    if self.agents.is_over(place.agent_id, place.incarnation):
                        lose = self._lose_superseded(place.agent_id)
                        self._later(lose, f"incarnation of {place.agent_id}")

    async def hear(self, beat: Heartbeat) -> None:
        """Compare what a node has with the books, as they are between two commits."""
        if self._writer is not None:
            await self._writer.read(lambda books: self._compare(books, beat))

    async def used(self, activity: SessionActivity) -> None:
        """Note that somebody uses a session; when we hear of it counts, not the sender's clock."""
        if self._writer is not None:
            session = self._writer.books.sessions.get(activity.session_id)
            if session is not None:
                self.idle.used(session, self._clock.now(), open_streams=activity.open_streams)

    def _measure(self, books: Books, beat: Heartbeat) -> None:
        """Note what kernels use, each only as told by the node that it is on."""
        if self.idle.rules.window_s is None:
            return
        now = self._clock.now()
        for usage in beat.usage:
            session = books.sessions.get(usage.session_id)
            kernel = session.kernel(usage.kernel_id) if session else None
            if session is None or kernel is None or kernel.phase != "running":
                continue
            if session_rules.is_at(kernel, beat.agent_id, beat.incarnation):
                books.agenda.measured(session, usage, now)

    def _compare(self, books: Books, beat: Heartbeat) -> None:
        self._measure(books, beat)
        publisher = self._require_publisher()
        found = self._reconciler.compare(beat, books.kernels_on(beat.agent_id))
        self.nodes.observe(beat, found, books.knows)
        publisher.strays(beat.agent_id, beat.incarnation, found.stray)
        if found.unheard:
            log.info("kernels_unheard", agent_id=beat.agent_id, count=len(found.unheard))
            publisher.repeat(books, beat.agent_id, found.unheard)
        for session_id, kernel_ids in found.lost.items():
            log.warning("kernels_lost", agent_id=beat.agent_id, session_id=session_id)
            lost: dict[str, EndReason] = dict.fromkeys(kernel_ids, "kernel-lost")
            self._give_up(session_id, lost, "Its node does not know it any more.")

    def cannot_start(self, spec: KernelSpec) -> None:
        """End a kernel that can't be told to its node."""
        lost: dict[str, EndReason] = {spec.kernel_id: "failed-to-start"}
        self._give_up(spec.session_id, lost, "Its environment does not open.")

    def _give_up(self, session_id: str, lost: dict[str, EndReason], detail: str) -> None:
        def decide(books: Books) -> Decision:
            session = books.sessions.get(session_id)
            if session is None:
                return Decision(())
            return Decision(session_rules.lose(session, lost, self._clock.now(), detail))

        self._later(decide, f"lost kernels of {session_id}")

    def _lose_superseded(self, agent_id: str) -> Decide:
        """Return what gives up the kernels of an agent's former incarnations."""

        def decide(books: Books) -> Decision:
            lost: dict[str, dict[str, EndReason]] = {}
            for session, kernel in books.kernels_on(agent_id):
                place = kernel.place
                if place is not None and self.agents.is_over(agent_id, place.incarnation):
                    lost.setdefault(session.session_id, {})[kernel.kernel_id] = "agent-lost"
            events: list[SessionFact] = []
            for session_id, kernels in lost.items():
                detail = "Its agent came back without its memory."
                session = books.sessions[session_id]
                events.extend(session_rules.lose(session, kernels, self._clock.now(), detail))
            return Decision(tuple(events))

        return decide

    def _changed(self) -> None:
        if self._teller is not None:
            self._teller.changed()
        if self._foreseer is not None:
            self._foreseer.changed()

    def _require_publisher(self) -> Publisher:
        if self._publisher is None:
            raise RuntimeError("the scheduler is not open yet")
        return self._publisher

    def _later(self, decide: Decide, what: str) -> None:
        """Have something decided that nobody waits for."""
        task = asyncio.create_task(self._insist(decide, what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _insist(self, decide: Decide, what: str) -> None:
        if self._writer is None:
            return
        meta = Meta(actor=SCHEDULER, correlation_id=new_id())
        for _ in range(INSIST_TRIES):
            outcome = await self._writer.submit(decide, meta)
            if not isinstance(outcome, Rejection):
                return
            log.warning("own_command_refused", what=what, code=outcome.code)
            await asyncio.sleep(INSIST_PAUSE_S)
        log.error("own_command_given_up", what=what)


def _seed(books: Books) -> Decision:
    queue = books.queues.get(resource_group.DEFAULT_GROUP)
    return Decision(resource_group.seed(queue.group if queue else None))
