"""What the log tells of each resource group's habits: who comes when, who holds a place how long.

Estimates are made of it. Nothing is decided by it, so it need not be exact to the event.
"""

from collections.abc import Mapping
from datetime import datetime

from services.scheduler.domain.session import Session
from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.snapshot import Running
from services.scheduler.placement.cluster import Holding
from services.scheduler.placement.model import Waiting


class Past:
    """The experience of every group, and since when each session has its place."""

    def __init__(self) -> None:
        self._of_group: dict[str, Experience] = {}
        self._placed: dict[str, dict[str, datetime]] = {}

    def of(self, group: str) -> Experience:
        """Return a group's experience; it begins with none."""
        return self._of_group.setdefault(group, Experience())

    def forget(self, group: str) -> None:
        """Forget a group that is no more."""
        self._of_group.pop(group, None)
        self._placed.pop(group, None)

    def came(self, group: str, session: Waiting, at: datetime) -> None:
        """Note that a session has begun to wait."""
        self.of(group).arrivals.came(session, at.timestamp())

    def placed(self, session: Session, at: datetime) -> None:
        """Note that a session has got its place."""
        group = session.request.resource_group
        self._placed.setdefault(group, {})[session.session_id] = at

    def ended(self, session: Session, at: datetime | None) -> None:
        """Note that a session is over; it counts if it ever had a place."""
        request = session.request
        since = self._placed.get(request.resource_group, {}).pop(session.session_id, None)
        if since is not None and at is not None:
            seconds = max((at - since).total_seconds(), 0.0)
            self.of(request.resource_group).run_times.observe(
                request.user_id, request.image, seconds
            )

    def running(
        self,
        group: str,
        sessions: Mapping[str, Session],
        holdings: Mapping[str, Holding],
        now: datetime,
        limit: int,
    ) -> tuple[Running, ...] | None:
        """Return the sessions that have a place in a group; None if there are more than `limit`."""
        placed = self._placed.get(group, {})
        if len(placed) > limit:
            return None
        return tuple(
            Running(
                session_id,
                sessions[session_id].request.user_id,
                sessions[session_id].request.image,
                max((now - since).total_seconds(), 0.0),
                {
                    kernel.kernel_id: holdings[kernel.kernel_id]
                    for kernel in sessions[session_id].kernels
                    if kernel.kernel_id in holdings
                },
            )
            for session_id, since in placed.items()
        )
