"""How the agents were at any time: what the agents' events have told, kept for replays.

Every leader reads them from the first one on, so nothing needs to be stored. Of very many changes
the oldest are given up; what remains of them is how the agents were after the last of those.
"""

from collections import deque
from datetime import datetime
from typing import Final, NamedTuple

from services.scheduler.forecast.fleet import AgentChange
from services.scheduler.placement.model import Agent

KEPT_MAX: Final = 100_000


class AgentsThen(NamedTuple):
    """The changes of a period; when it begins before `known_since`, there were more."""

    changes: tuple[AgentChange, ...]
    known_since: datetime | None


class AgentsPast:
    """The latest changes of all agents, and how each was before them."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._before: dict[str, Agent] = {}
        self._changes: deque[tuple[datetime, Agent]] = deque()
        self._known_since: datetime | None = None

    def changed(self, agent: Agent, at: datetime) -> None:
        """Note how an agent is from a moment on; moments never go back."""
        self._changes.append((at, agent))
        if len(self._changes) > self._kept_max:
            self._known_since, oldest = self._changes.popleft()
            if oldest.gone:
                self._before.pop(oldest.agent_id, None)
            else:
                self._before[oldest.agent_id] = oldest

    def between(self, group: str, since: datetime, until: datetime) -> AgentsThen:
        """Return the changes of the agents that were in a group, in seconds from `since`."""
        first = dict(self._before)
        later: list[AgentChange] = []
        for at, agent in self._changes:
            if at >= until:
                break
            if at <= since:
                first[agent.agent_id] = agent
            else:
                later.append(AgentChange((at - since).total_seconds(), agent))
        there = [AgentChange(0.0, agent) for agent in first.values()]
        members = {one.agent.agent_id for one in (*there, *later) if one.agent.group == group}
        return AgentsThen(
            tuple(one for one in (*there, *later) if one.agent.agent_id in members),
            self._known_since,
        )
