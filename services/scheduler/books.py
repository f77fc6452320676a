"""The books: the fold of the scheduler's own log, in memory, with the cluster it hands out.

Every event passes through `apply`, when it is decided and when the log is read again; so what a
restart finds is what was there before. Only sessions that have not ended are kept, and the ids
of some that ended lately.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from services.scheduler.agenda import Agenda
from services.scheduler.domain import resource_group as groups
from services.scheduler.domain import session as sessions
from services.scheduler.domain.deadlines import HANG_TIMEOUT_S, Lifetime
from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.domain.session import Kernel, Session, SessionFact
from services.scheduler.idle_watch import IdleWatch
from services.scheduler.past import Past
from services.scheduler.pending import Pending
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer
from services.scheduler.residents import Residents
from services.scheduler.waiting_room import Held, WaitingRoom, held_of
from shared.contracts.base import Event
from shared.contracts.scheduler import (
    KernelTerminated,
    ResourceGroupEvent,
    SessionEnqueued,
    SessionRestarted,
    SessionScheduled,
    SessionTerminated,
    SessionTerminating,
    UsageRecalculated,
)
from shared.eventlog.codec import stream_name

ENDED_KEPT_MAX: Final = 10_000


class Queue(NamedTuple):
    """What belongs to one resource group."""

    group: ResourceGroup
    planner: GroupPlanner
    explainer: Explainer


class Ended(NamedTuple):
    """What is kept for a while of a session that has ended: whose it was, and how it went."""

    user_id: str
    succeeded: bool


class Books:
    """Live sessions, groups, queues and holdings.

    `doomed` are waiting sessions that can never start, and the sessions that they depended on.
    """

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        *,
        hang_timeout_s: float = HANG_TIMEOUT_S,
        idle: IdleWatch | None = None,
    ) -> None:
        self.cluster = Cluster()
        self.ledgers = Ledgers()
        self.pending = Pending()
        self.defaults = groups.Defaults()
        self.queues: dict[str, Queue] = {}
        self.sessions: dict[str, Session] = {}
        self.versions: dict[str, int] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.residents = Residents(self.sessions, self.cluster)
        self.correlations: dict[str, str] = {}
        self.ended: OrderedDict[str, Ended] = OrderedDict()
        self.agenda = Agenda(self.sessions, hang_timeout_s, idle)
        self.waiting_room = WaitingRoom()
        self.past = Past()
        self.doomed: dict[str, str] = {}
        self._turn = 0
        for agent in agents:
            self.put_agent(agent)

    def apply(self, event: Event, correlation_id: str = "", at: datetime | None = None) -> None:
        """Take in the next event of the log, what request it goes back to, and when it was."""
        stream = stream_name(event.AGGREGATE, event.key())
        self.versions[stream] = self.versions.get(stream, 0) + 1
        if isinstance(event, ResourceGroupEvent):
            self._group_event(event)
        elif isinstance(event, SessionFact):
            if isinstance(event, SessionEnqueued):
                self.correlations[event.session_id] = correlation_id
            self._session_event(event, at)
        elif not isinstance(event, UsageRecalculated):
            raise TypeError(f"{type(event).__name__} is no event of the scheduler")

    def version(self, event: Event) -> int:
        """Return how many events the event's stream has."""
        return self.versions.get(stream_name(event.AGGREGATE, event.key()), 0)

    def knows(self, session_id: str) -> bool:
        """Tell whether a session is there, or was lately."""
        return session_id in self.sessions or session_id in self.ended

    def put_agent(self, agent: Agent) -> None:
        """Take over what is known of an agent now."""
        self.cluster.put(agent)
        queue = self.queues.get(agent.group)
        if queue is not None:
            queue.planner.agent_changed(self.cluster.rows[agent.agent_id])

    def set_limits(self, scope: str, ceiling: Ceiling) -> None:
        """Take over what a scope may hold from now on; who holds more keeps it."""
        self.ledgers.set_limits(scope, ceiling.slots, ceiling.default, ceiling.max_sessions)
        self.agenda.set_lifetime(scope, Lifetime(ceiling.lifetime_s, ceiling.lifetime_base))
        self.agenda.set_idle_timeout(scope, ceiling.idle_timeout_s)

    def set_defaults(self, defaults: groups.Defaults) -> None:
        """Take over what holds now for groups that say nothing themselves."""
        if defaults == self.defaults:
            return
        self.defaults = defaults
        for queue in self.queues.values():
            queue.planner.configure(queue.group.options_under(defaults))

    def begin(self, session_id: str) -> None:
        """Let a session whose time has come into its queue, unless others must end first."""
        held = self.waiting_room.begin(session_id)
        if held is not None:
            self._queue_up(held)

    def is_reachable(self, agent_id: str) -> bool:
        """Tell whether an agent can be asked for something now."""
        row = self.cluster.rows.get(agent_id)
        return row is not None and row.agent.alive and not row.agent.gone

    def kernels_on(self, agent_id: str) -> Iterator[tuple[Session, Kernel]]:
        """Walk the live kernels that have their place on an agent."""
        return self.residents.live_on(agent_id)

    def placed(self) -> Iterator[tuple[Session, Kernel]]:
        """Walk all live kernels."""
        return self.residents.live()

    def agents(self) -> Iterator[Agent]:
        """Walk the agents that are known."""
        return (row.agent for row in self.cluster.rows.values())

    def state(self) -> dict[str, Any]:
        """Return all that the log determines, as plain comparable values."""
        holdings = {key: msgspec.structs.astuple(one) for key, one in self.cluster.holdings.items()}
        waiting = {
            name: [entry.session.session_id for entry in queue.planner.queue]
            for name, queue in self.queues.items()
        }
        return {
            "sessions": {key: msgspec.to_builtins(one) for key, one in self.sessions.items()},
            "versions": dict(self.versions),
            "names": dict(self.names),
            "holdings": holdings,
            "waiting": waiting,
            "held": self.waiting_room.state(),
            "pending": self.pending.state(),
            "charged": self.ledgers.state(),
            "on_agent": self.residents.state(),
        }

    def _group_event(self, event: ResourceGroupEvent) -> None:
        queue = self.queues.get(event.name)
        group = groups.evolve(queue.group if queue else None, event)
        if group is None:
            self.queues.pop(event.name, None)
            self.cluster.close_group(event.name)
            self.past.forget(event.name)
        elif queue is None:
            planner = GroupPlanner(group.options_under(self.defaults), self.cluster, self.ledgers)
            self.queues[event.name] = Queue(group, planner, Explainer(planner))
        else:
            queue.planner.configure(group.options_under(self.defaults))
            self.queues[event.name] = queue._replace(group=group)
        self.agenda.set_pending_timeout(
            event.name, group.pending_timeout if group else None, self._waiting_in(event.name)
        )

    def _waiting_in(self, group: str) -> Iterator[str]:
        """Walk the ids of the sessions that wait in a group."""
        queue = self.queues.get(group)
        if queue is not None:
            yield from queue.planner.queue.entries
        yield from (held.waiting.session_id for held in self.waiting_room.of(group))

    def _session_event(self, event: SessionFact, at: datetime | None) -> None:
        session_id = event.session_id
        before = self.sessions.get(session_id)
        session = self.sessions[session_id] = sessions.evolve(before, event)
        if before is not None and before.status == "PENDING" != session.status:
            self.pending.leave(session.request, session.total_slots)
        if isinstance(event, SessionEnqueued):
            self._wait(event, at)
        elif isinstance(event, SessionScheduled):
            self._hold(session)
            if at is not None:
                self.past.placed(session, at)
        elif before and isinstance(event, KernelTerminated | SessionTerminating | SessionRestarted):
            self._move(before, session)
        if session.is_over:
            is_good = isinstance(event, SessionTerminated) and event.result == "success"
            self._close(session, is_good=is_good)
            self.past.ended(session, at)
        elif at is not None and (
            before is None
            or before.status != session.status
            or isinstance(event, SessionTerminating)
        ):
            self.agenda.entered(session, at)

    def _wait(self, event: SessionEnqueued, at: datetime | None) -> None:
        self._turn += 1
        self.names[event.user_id, event.name] = event.session_id
        self.pending.enter(event, sessions.sum_of(event))
        held = held_of(event, self._turn, at, self.sessions)
        if at is not None:
            self.past.came(held.group, held.waiting, at)
        if held.may_go:
            self._queue_up(held)
        else:
            self.waiting_room.enter(held)

    def _queue_up(self, held: Held) -> None:
        self.queues[held.group].planner.enqueue(held.waiting)

    def _hold(self, session: Session) -> None:
        held = self.waiting_room.leave(session.session_id)
        if held is not None:
            # its time had come: only the clock knew
            self._queue_up(held)
        self.queues[session.request.resource_group].planner.scheduled(session.session_id)
        self.residents.settle(session.session_id, session.kernels)

    def _move(self, before: Session, after: Session) -> None:
        """Free the places that kernels have given up, and let others take them over."""
        stay = {kernel.kernel_id for kernel in after.holders}
        for kernel in before.holders:
            if kernel.kernel_id not in stay:
                self._release(before.session_id, kernel)
        self.residents.settle(after.session_id, after.holders)

    def _release(self, session_id: str, kernel: Kernel) -> None:
        row = self.residents.leave(session_id, kernel)
        queue = self.queues.get(row.agent.group) if row else None
        if row is not None and queue is not None:
            queue.planner.freed(row)

    def _close(self, session: Session, *, is_good: bool) -> None:
        request = session.request
        self._settle_dependants(session.session_id, is_good=is_good)
        self.agenda.closed(session)
        self.queues[request.resource_group].planner.withdraw(session.session_id)
        for kernel in session.holders:
            self._release(session.session_id, kernel)
        self.ledgers.refund(session.session_id)
        del self.sessions[session.session_id]
        self.correlations.pop(session.session_id, None)
        self.ended[session.session_id] = Ended(request.user_id, is_good)
        if len(self.ended) > ENDED_KEPT_MAX:
            self.ended.popitem(last=False)
        if self.names.get((request.user_id, request.name)) == session.session_id:
            del self.names[request.user_id, request.name]
        # its stream never grows again
        self.versions.pop(stream_name("session", session.session_id), None)

    def _settle_dependants(self, session_id: str, *, is_good: bool) -> None:
        """Let those go that waited for a session, or doom them when it has not ended well."""
        self.waiting_room.leave(session_id)
        self.doomed.pop(session_id, None)
        if is_good:
            for held in self.waiting_room.succeeded(session_id):
                self._queue_up(held)
        else:
            self.doomed.update(dict.fromkeys(self.waiting_room.failed(session_id), session_id))
