"""The agents of a group as they came and went, and what would be with more or fewer of them.

All times are seconds from the beginning of a period; a change at 0 is how it was then.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.scheduler.placement.model import Agent
from shared.contracts.scheduler import Variation

AGENTS_MAX = 20_000


class AgentChange(NamedTuple):
    """From a moment on an agent was like this."""

    at_s: float
    agent: Agent


def served(changes: Iterable[AgentChange], group: str) -> list[str]:
    """Return the agents that could take a group's sessions at some time, in the order of ids."""
    return sorted({one.agent.agent_id for one in changes if _is_usable(one.agent, group)})


def count_of(variation: Variation, count: int) -> int:
    """Return how many agents there would be instead of so many."""
    if variation.scale_agents is not None:
        return round(count * variation.scale_agents)
    return count + variation.add_agents - variation.remove_agents


def varied(
    changes: Sequence[AgentChange], variation: Variation, group: str
) -> tuple[AgentChange, ...]:
    """Return the changes that there would have been.

    New agents are like those that were there, each in turn, and come and go with their models;
    what is too many is left out from the end of the ids.
    """
    there = served(changes, group)
    wanted = count_of(variation, len(there))
    left_out = frozenset(there[wanted:])
    copies: defaultdict[str, list[str]] = defaultdict(list)
    for number in range(len(there), wanted if there else 0):
        model = there[number % len(there)]
        # told apart from all others by a character that no id can have
        copies[model].append(f"{model}\0{number // len(there)}")
    found: list[AgentChange] = []
    for change in changes:
        agent_id = change.agent.agent_id
        if agent_id in left_out:
            continue
        found.append(change)
        found.extend(
            AgentChange(change.at_s, change.agent._replace(agent_id=copy))
            for copy in copies[agent_id]
        )
    return tuple(found)


def capacity(changes: Iterable[AgentChange], group: str, length_s: float) -> dict[str, float]:
    """Return what the agents had that were alive, by slot, times the seconds that they had it."""
    since: dict[str, AgentChange] = {}
    total: defaultdict[str, float] = defaultdict(float)

    def close(change: AgentChange, at_s: float) -> None:
        if change.agent.alive and not change.agent.gone and change.agent.group == group:
            for slot, amount in change.agent.capacity.items():
                total[slot] += amount * (at_s - change.at_s)

    for change in changes:
        before = since.get(change.agent.agent_id)
        if before is not None:
            close(before, change.at_s)
        since[change.agent.agent_id] = change
    for change in since.values():
        close(change, length_s)
    return dict(total)


def _is_usable(agent: Agent, group: str) -> bool:
    return agent.group == group and agent.alive and agent.schedulable and not agent.gone
