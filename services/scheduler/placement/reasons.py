"""Why a session waits, with the numbers behind, and what can never be placed at all."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.index import CONTAINERS
from services.scheduler.placement.model import Agent, Shape
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.queue import Entry
from shared.contracts.scheduler import Reason, Violation
from shared.kernel.slots import MILLI, render_amount, say_amount


class _Short(NamedTuple):
    """A slot that is short on `agents` agents, on the nearest of them by `least`."""

    slot: str
    requested: int
    least: int
    agents: int
    most: int


class Explainer:
    """Explains a group's queue; answers are kept until anything about the cluster changes."""

    def __init__(self, planner: GroupPlanner) -> None:
        self._planner = planner
        self._answers: dict[Shape, Reason] = {}
        self._censuses: dict[tuple[str, str, tuple[str, ...]], Counter[tuple[int, ...]]] = {}
        self._version = -1

    def reason(self, entry: Entry) -> Reason:
        """Return why a session waits now."""
        planner = self._planner
        name = planner.options.name
        if not planner.options.is_active:
            return Reason(
                code="group-inactive",
                message=f"The resource group {name} is not active; sessions wait until it is.",
            )
        if not planner.index.rows:
            return _no_agents(planner.cluster, name)
        over = planner.ledgers.violations(entry.session)
        if over:
            return _over_limits(over)
        blocker = planner.blocker
        if blocker is not None and entry.key > blocker.key:
            return self._behind(blocker)
        if planner.queue.waits_for_own(entry):
            return Reason(
                code="behind-own-session",
                message="An earlier session of the same user lacks resources and comes first.",
            )
        if entry.overtaken or entry is blocker or entry.session.shape in planner.queue.parked:
            return self._lacking(entry.session.shape)
        return Reason(code="not-tried-yet", message="The next scheduling pass will try it.")

    def _behind(self, blocker: Entry) -> Reason:
        options = self._planner.options
        tries = self._planner.queue.tries(blocker)
        rule = (
            f"may be passed over after {options.retries_to_skip} tries, so far {tries}"
            if options.retries_to_skip
            else "is never passed over in this resource group"
        )
        return Reason(
            code="behind-first-in-line",
            message=f"An earlier session lacks resources and comes first; it {rule}.",
        )

    def _lacking(self, shape: Shape) -> Reason:
        version = self._planner.cluster.version
        if version != self._version:
            self._answers.clear()
            self._censuses.clear()
            self._version = version
        answer = self._answers.get(shape)
        if answer is None:
            answer = self._answers[shape] = _explain(self._planner, shape, self._census(shape))
        return answer

    def _census(self, shape: Shape) -> Counter[tuple[int, ...]]:
        """Return how many agents that a shape suits have exactly so much free."""
        key = (shape.image, shape.architecture, shape.designated)
        census = self._censuses.get(key)
        if census is None:
            matching = self._planner.index.matching(shape)
            census = self._censuses[key] = Counter(row.free for row in matching)
        return census


def _over_limits(violations: tuple[Violation, ...]) -> Reason:
    """Say which limits are in the way, scope by scope."""
    told: dict[str, list[str]] = {}
    for one in violations:
        told.setdefault(one.scope.partition(":")[0], []).append(
            f"{one.slot} used {one.used}, requested {one.requested}, limit {one.limit}"
        )
    sentences = [f"The {kind}'s limit: {'; '.join(parts)}." for kind, parts in told.items()]
    return Reason(code="over-limit", message=" ".join(sentences), violations=violations)


def _explain(planner: GroupPlanner, shape: Shape, census: Counter[tuple[int, ...]]) -> Reason:
    name = planner.options.name
    agents = census.total()
    if not agents and shape.designated:
        return Reason(
            code="designated-agents-away",
            message=f"It may run on {', '.join(shape.designated)} only, and none of them takes "
            f"new sessions of {name} with {shape.image}.",
        )
    if not agents:
        return Reason(
            code="no-agent-offers-image",
            message=f"None of {len(planner.index.rows)} agents of {name} offers {shape.image} "
            f"for {shape.architecture}.",
        )
    slots = planner.index.slots

    def amounts(slot: str) -> Counter[int]:
        at = slots.index(slot) if slot in slots else None
        counts: Counter[int] = Counter()
        for free, count in census.items():
            counts[0 if at is None else free[at]] += count
        return counts

    short = _shortages(planner.index.needs(shape), amounts)
    violations = tuple(_violation(name, one) for one in short)
    if shape.nodes() > 1:
        return Reason(
            code="not-enough-agents",
            message=f"{shape.kernels} kernels must start together, and {agents} agents "
            f"of {name} have no room for all of them.{_sentence(short, agents)}",
            violations=violations,
        )
    if not short:
        return Reason(
            code="devices-fragmented",
            message=f"Enough is free on agents of {name}, but not on devices that fit together.",
        )
    return Reason(
        code="not-enough-resources",
        message=f"No agent of {name} has enough free.{_sentence(short, agents)}",
        violations=violations,
    )


def _shortages(
    needs: Iterable[tuple[str, int]], amounts: Callable[[str], Counter[int]]
) -> list[_Short]:
    """Return the slots that are short; `amounts` gives how many agents have how much of one."""
    found = []
    for slot, amount in needs:
        counts = amounts(slot)
        lacking = {free: count for free, count in counts.items() if free < amount}
        if lacking:
            least = amount - max(lacking)
            found.append(_Short(slot, amount, least, sum(lacking.values()), max(counts)))
    return found


def _violation(group: str, short: _Short) -> Violation:
    return Violation(
        scope=f"resource-group:{group}",
        slot=short.slot,
        requested=render_amount(short.slot, short.requested),
        limit=render_amount(short.slot, short.most),
        short_by=render_amount(short.slot, short.least),
        agents=short.agents,
    )


def _sentence(short: list[_Short], agents: int) -> str:
    parts = [
        f" {one.slot}: {say_amount(one.slot, one.requested)} asked, at least "
        f"{say_amount(one.slot, one.least)} short on {one.agents} of {agents} agents."
        for one in short
    ]
    return "".join(parts)


def _no_agents(cluster: Cluster, group: str) -> Reason:
    agents = [row.agent for row in cluster.rows.values() if row.agent.group == group]
    if not agents:
        return Reason(code="no-agents", message=f"The resource group {group} has no agents.")
    if not any(agent.alive for agent in agents):
        return Reason(
            code="no-agent-alive",
            message=f"None of the {len(agents)} agents of {group} is alive.",
        )
    return Reason(
        code="no-agent-schedulable",
        message=f"No agent of {group} takes new sessions at the moment.",
    )


class Impossible(NamedTuple):
    """A request that the agents could not hold even if they were empty."""

    message: str
    violations: tuple[Violation, ...]


def never_fits(
    agents: Iterable[Agent], group: str, shape: Shape, max_containers: int | None = None
) -> Impossible | None:
    """Tell why a shape could never be held by a group's agents, dead or alive; None if it could.

    `max_containers` is how many kernels an agent may have, None any number. A group in which no
    agent is known to offer the image is not judged: one may come.
    """
    needs, room = shape.per_node(), {}
    if max_containers is not None:
        needs = (*needs, (CONTAINERS, MILLI * (shape.kernels // shape.nodes())))
        room = {CONTAINERS: MILLI * max_containers}
    empty = [
        agent.capacity | room
        for agent in agents
        if agent.group == group and not agent.gone and shape.suits(agent)
    ]
    if not empty:
        return None
    places = sum(_times(capacity, needs) for capacity in empty)
    if places >= shape.nodes():
        return None
    short = _shortages(needs, lambda slot: Counter(capacity.get(slot, 0) for capacity in empty))
    if shape.nodes() > 1 and places:
        message = f"All agents of {group} together could hold {places} of {shape.nodes()} kernels."
    else:
        limits = "; ".join(
            f"{one.slot} {say_amount(one.slot, one.requested)} was asked and the largest agent "
            f"has {say_amount(one.slot, one.most)}"
            for one in short
            if one.most < one.requested
        )
        message = (
            f"No agent of {group} could ever hold this: {limits}."
            if limits
            else f"No single agent of {group} has all of what was asked, even when empty."
        )
    return Impossible(message, tuple(_violation(group, one) for one in short))


def _times(capacity: dict[str, int], needs: tuple[tuple[str, int], ...]) -> int:
    if not needs:
        return 1
    return min(capacity.get(slot, 0) // amount for slot, amount in needs)
