"""One pass from a snapshot: the pure function that what-if, simulation and tests are made of."""

from collections.abc import Iterable
from typing import NamedTuple

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, GroupOptions, Placed, Waiting
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.reasons import Explainer
from shared.contracts.scheduler import Reason


class Plan(NamedTuple):
    """Places for some sessions, and for every other one the reason, in the queue's order."""

    placed: tuple[Placed, ...]
    waiting: dict[str, Reason]


def plan(
    options: GroupOptions,
    agents: Iterable[Agent],
    queue: Iterable[Waiting],
    ledgers: Ledgers | None = None,
) -> Plan:
    """Plan one pass over a group's queue on agents that hold nothing else.

    `ledgers` has the limits, and what the scopes hold already; what gets a place is charged to it.
    """
    cluster = Cluster()
    planner = GroupPlanner(options, cluster, ledgers)
    for agent in agents:
        cluster.put(agent)
    for session in queue:
        planner.enqueue(session)
    outcome = planner.run(limit=len(planner.queue) + 1)
    explainer = Explainer(planner)
    waiting = {entry.session.session_id: explainer.reason(entry) for entry in planner.queue}
    return Plan(outcome.placed, waiting)
