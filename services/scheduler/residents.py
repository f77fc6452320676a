"""Which kernels have their place on which agent; what they hold there is in the cluster."""

from collections.abc import Iterable, Iterator, Mapping

from services.scheduler.domain.session import Kernel, Session
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.rows import Row


class Residents:
    """The places that are reserved, by agent. `sessions` and `cluster` are those of the books."""

    def __init__(self, sessions: Mapping[str, Session], cluster: Cluster) -> None:
        self._sessions = sessions
        self._cluster = cluster
        self._on_agent: dict[str, set[tuple[str, str]]] = {}

    def settle(self, session_id: str, kernels: Iterable[Kernel]) -> None:
        """Reserve the places of kernels; those that have theirs already keep it."""
        for kernel in kernels:
            place = kernel.place
            if place is not None:
                slots = tuple(sorted(kernel.requested.items()))
                self._cluster.hold(kernel.kernel_id, place.agent_id, slots, place.devices)
                here = self._on_agent.setdefault(place.agent_id, set())
                here.add((session_id, kernel.kernel_id))

    def leave(self, session_id: str, kernel: Kernel) -> Row | None:
        """Free a kernel's place; return the agent's row, or None if it held nothing."""
        if kernel.place is not None:
            here = self._on_agent.get(kernel.place.agent_id, set())
            here.discard((session_id, kernel.kernel_id))
        return self._cluster.release(kernel.kernel_id)

    def live_on(self, agent_id: str) -> Iterator[tuple[Session, Kernel]]:
        """Walk the live kernels that have their place on an agent."""
        for session_id, kernel_id in tuple(self._on_agent.get(agent_id, ())):
            session = self._sessions.get(session_id)
            kernel = session.kernel(kernel_id) if session else None
            if session is not None and kernel is not None and kernel.is_live:
                yield session, kernel

    def live(self) -> Iterator[tuple[Session, Kernel]]:
        """Walk all live kernels."""
        for agent_id in tuple(self._on_agent):
            yield from self.live_on(agent_id)

    def state(self) -> dict[str, list[tuple[str, str]]]:
        """Return who has a place where, as plain comparable values."""
        return {key: sorted(found) for key, found in self._on_agent.items() if found}
