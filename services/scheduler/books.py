"""The books: the fold of the scheduler's own log, in memory, with the cluster it hands out.

Every event passes through `apply`, when it is decided and when the log is read again; so what a
restart finds is what was there before. Only sessions that have not ended are kept, and the ids
of some that ended lately.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from services.scheduler.domain import resource_group as groups
from services.scheduler.domain import session as sessions
from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.domain.scopes import Ceiling, scopes_of
from services.scheduler.domain.session import Kernel, Session, SessionFact
from services.scheduler.pending import Pending
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer
from shared.contracts.base import Event
from shared.contracts.scheduler import (
    KernelTerminated,
    ResourceGroupEvent,
    SessionEnqueued,
    SessionScheduled,
)
from shared.eventlog.codec import stream_name

ENDED_KEPT_MAX: Final = 10_000


class Queue(NamedTuple):
    """What belongs to one resource group."""

    group: ResourceGroup
    planner: GroupPlanner
    explainer: Explainer


class Books:
    """Live sessions, groups, queues and holdings."""

    def __init__(self, agents: Iterable[Agent] = ()) -> None:
        self.cluster = Cluster()
        self.ledgers = Ledgers()
        self.pending = Pending()
        self.defaults = groups.Defaults()
        self.queues: dict[str, Queue] = {}
        self.sessions: dict[str, Session] = {}
        self.versions: dict[str, int] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.on_agent: dict[str, set[tuple[str, str]]] = {}
        self.correlations: dict[str, str] = {}
        self.ended: OrderedDict[str, None] = OrderedDict()
        self._turn = 0
        for agent in agents:
            self.put_agent(agent)

    def apply(self, event: Event, correlation_id: str = "") -> None:
        """Take in the next event of the log, and what request it goes back to."""
        stream = stream_name(event.AGGREGATE, event.key())
        self.versions[stream] = self.versions.get(stream, 0) + 1
        if isinstance(event, ResourceGroupEvent):
            self._group_event(event)
        elif isinstance(event, SessionFact):
            if isinstance(event, SessionEnqueued):
                self.correlations[event.session_id] = correlation_id
            self._session_event(event)
        else:
            raise TypeError(f"{type(event).__name__} is no event of the scheduler")

    def version(self, event: Event) -> int:
        """Return how many events the event's stream has."""
        return self.versions.get(stream_name(event.AGGREGATE, event.key()), 0)

    def put_agent(self, agent: Agent) -> None:
        """Take over what is known of an agent now."""
        self.cluster.put(agent)
        queue = self.queues.get(agent.group)
        if queue is not None:
            queue.planner.agent_changed(self.cluster.rows[agent.agent_id])

    def set_limits(self, scope: str, ceiling: Ceiling) -> None:
        """Take over what a scope may hold from now on; who holds more keeps it."""
        self.ledgers.set_limits(scope, ceiling.slots, ceiling.default, ceiling.max_sessions)

    def set_defaults(self, defaults: groups.Defaults) -> None:
        """Take over what holds now for groups that say nothing themselves."""
        if defaults == self.defaults:
            return
        self.defaults = defaults
        for queue in self.queues.values():
            queue.planner.configure(queue.group.options_under(defaults))

    def kernels_on(self, agent_id: str) -> Iterator[tuple[Session, Kernel]]:
        """Walk the live kernels that have their place on an agent."""
        for session_id, kernel_id in tuple(self.on_agent.get(agent_id, ())):
            session = self.sessions.get(session_id)
            kernel = session.kernel(kernel_id) if session else None
            if session is not None and kernel is not None and kernel.is_live:
                yield session, kernel

    def placed(self) -> Iterator[tuple[Session, Kernel]]:
        """Walk all live kernels."""
        for agent_id in tuple(self.on_agent):
            yield from self.kernels_on(agent_id)

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
            "pending": self.pending.state(),
            "charged": self.ledgers.state(),
            "on_agent": {key: sorted(found) for key, found in self.on_agent.items() if found},
        }

    def _group_event(self, event: ResourceGroupEvent) -> None:
        queue = self.queues.get(event.name)
        group = groups.evolve(queue.group if queue else None, event)
        if group is None:
            self.queues.pop(event.name, None)
            self.cluster.close_group(event.name)
        elif queue is None:
            planner = GroupPlanner(group.options_under(self.defaults), self.cluster, self.ledgers)
            self.queues[event.name] = Queue(group, planner, Explainer(planner))
        else:
            queue.planner.configure(group.options_under(self.defaults))
            self.queues[event.name] = queue._replace(group=group)

    def _session_event(self, event: SessionFact) -> None:
        session_id = event.session_id
        before = self.sessions.get(session_id)
        session = self.sessions[session_id] = sessions.evolve(before, event)
        if before is not None and before.status == "PENDING" != session.status:
            self.pending.leave(session.request, session.total_slots)
        if isinstance(event, SessionEnqueued):
            self._wait(event)
        elif isinstance(event, SessionScheduled):
            self._hold(session)
        elif isinstance(event, KernelTerminated):
            self._release(session_id, event.kernel_id, event.agent_id)
        if session.is_over:
            self._close(session)

    def _wait(self, event: SessionEnqueued) -> None:
        self._turn += 1
        self.names[event.user_id, event.name] = event.session_id
        self.pending.enter(event, sessions.sum_of(event))
        kernel_ids = tuple(kernel.kernel_id for kernel in event.kernels)
        shape = shape_of(
            event.kernels[0].requested,
            event.image,
            event.architecture,
            len(kernel_ids),
            event.cluster_mode,
        )
        self.queues[event.resource_group].planner.enqueue(
            Waiting(
                event.session_id,
                event.priority,
                self._turn,
                shape,
                kernel_ids,
                user=event.user_id,
                scopes=scopes_of(event),
            )
        )

    def _hold(self, session: Session) -> None:
        self.queues[session.request.resource_group].planner.scheduled(session.session_id)
        for kernel in session.kernels:
            place = kernel.place
            if place is not None:
                slots = tuple(sorted(kernel.requested.items()))
                self.cluster.hold(kernel.kernel_id, place.agent_id, slots, place.devices)
                here = self.on_agent.setdefault(place.agent_id, set())
                here.add((session.session_id, kernel.kernel_id))

    def _release(self, session_id: str, kernel_id: str, agent_id: str) -> None:
        self.on_agent.get(agent_id, set()).discard((session_id, kernel_id))
        row = self.cluster.release(kernel_id)
        queue = self.queues.get(row.agent.group) if row else None
        if row is not None and queue is not None:
            queue.planner.freed(row)

    def _close(self, session: Session) -> None:
        request = session.request
        self.queues[request.resource_group].planner.withdraw(session.session_id)
        for kernel in session.kernels:
            if kernel.is_live and kernel.place is not None:
                self._release(session.session_id, kernel.kernel_id, kernel.place.agent_id)
        self.ledgers.refund(session.session_id)
        del self.sessions[session.session_id]
        self.correlations.pop(session.session_id, None)
        self.ended[session.session_id] = None
        if len(self.ended) > ENDED_KEPT_MAX:
            self.ended.popitem(last=False)
        if self.names.get((request.user_id, request.name)) == session.session_id:
            del self.names[request.user_id, request.name]
        # its stream never grows again
        self.versions.pop(stream_name("session", session.session_id), None)
