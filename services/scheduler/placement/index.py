"""The agents of one resource group, arranged so that a place is found without asking each."""

from collections.abc import Callable, Iterator
from operator import neg
from typing import Final, NamedTuple

from services.scheduler.placement.model import Agent, GroupOptions, Shape, Strategy, slot_rank
from services.scheduler.placement.rows import Needs, Pool, RankedRows, RankKey, Row, fit_in
from shared.kernel.slots import MILLI

REMEMBERED_SHAPES_MAX: Final = 20_000
CONTAINERS: Final = "containers"


class Ways(NamedTuple):
    """How an index chooses; another way needs another index."""

    strategy: Strategy
    max_containers: int | None
    allows_fragmentation: bool


class _PoolKey(NamedTuple):
    architecture: str
    images: frozenset[str] | None
    capabilities: frozenset[str]


class _Target(NamedTuple):
    """Where a shape looks: rankings that are equally good, with what each row must have."""

    rankings: tuple[tuple[RankedRows, RankKey], ...]
    needs: Needs


class AgentIndex:
    """Finds the agent that a strategy prefers among those that can hold a shape's next part.

    - dispersed: fewest capabilities that the request doesn't use, then most free, slot by slot in
      the order of scarcity; concentrated: likewise, but least free.
    - legacy: most free of the slots that are asked for, whatever else there is.
    - roundrobin: the next in the order of ids after the one that was chosen last.

    Of equal ones the least id. Where containers are limited, their room is one more thing needed.
    """

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self.rows: dict[str, Row] = {}
        self.last_chosen: dict[str, str] = {}
        self._totals: dict[str, int] = {}
        self._slots: tuple[str, ...] = ()
        self._pools: dict[_PoolKey, Pool] = {}
        self._targets: dict[Shape, tuple[_Target, ...]] = {}

    def add(self, row: Row) -> None:
        """Take in an agent that may get kernels."""
        agent = row.agent
        self.rows[agent.agent_id] = row
        row.allows_fragmentation = self.ways.allows_fragmentation
        self._count(agent, 1)
        if not set(agent.capacity).issubset(self._slots):
            self._widen()
        else:
            self._insert(row)

    def remove(self, agent_id: str) -> None:
        """Forget an agent; what is reserved on it stays in its row."""
        row = self.rows.pop(agent_id)
        self._count(row.agent, -1)
        key = _pool_key(row.agent)
        pool = self._pools[key]
        pool.remove(row)
        if not pool.rows:
            del self._pools[key]
            self._targets.clear()

    def moved(self, row: Row) -> None:
        """Rank a row anew after something was reserved or released on it."""
        pool = row.pool
        if pool is None:
            raise KeyError(row.agent.agent_id)
        pool.move(row, self._measure(row))

    def offers(self, shape: Shape) -> bool:
        """Tell whether any agent has the image and every kind of slot that a shape asks for."""
        if shape.designated:
            return any(True for _ in self._designated(shape))
        return bool(self._targets_of(shape))

    def find(self, shape: Shape, kernels: int) -> Row | None:
        """Return the agent for the next `kernels` kernels of a shape, or None."""
        if shape.designated:
            return self._find_designated(shape, kernels)
        targets = self._targets_of(shape)
        if self.ways.strategy != "roundrobin":
            return _best(targets, shape, kernels, None)
        after = (self.last_chosen.get(shape.architecture, "") + "\0",)
        return _best(targets, shape, kernels, after) or _best(targets, shape, kernels, None)

    def chosen(self, row: Row) -> None:
        """Note who was chosen: round robin goes on behind."""
        if self.ways.strategy == "roundrobin":
            self.last_chosen[row.agent.architecture] = row.agent.agent_id

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of all agents, in the order in which `Row.free` gives what is free.

        Where containers are limited, they come last, in thousandths as any count.
        """
        return self._slots if self.ways.max_containers is None else (*self._slots, CONTAINERS)

    @property
    def capacity(self) -> tuple[tuple[str, int], ...]:
        """What all agents together have of each slot."""
        return tuple(sorted(self._totals.items()))

    def matching(self, shape: Shape) -> Iterator[Row]:
        """Walk the agents that offer the shape's image, whatever is free on them."""
        if shape.designated:
            rows = (self.rows.get(agent_id) for agent_id in shape.designated)
            return (row for row in rows if row is not None and shape.suits(row.agent))
        return (row for row in self.rows.values() if shape.suits(row.agent))

    def needs(self, shape: Shape) -> Iterator[tuple[str, int]]:
        """Walk what one agent must have free for its part of a shape, containers included."""
        yield from shape.per_node()
        if self.ways.max_containers is not None:
            yield CONTAINERS, MILLI * (shape.kernels // shape.nodes())

    def dearest(self, shape: Shape) -> tuple[str, int]:
        """Return of which slot a shape asks the largest part, and how much of it on one node."""
        slot, most, total = "", 0, 1
        for name, amount in shape.per_node():
            available = self._totals.get(name, 0)
            if amount * total > most * available:
                slot, most, total = name, amount, available
        return slot, most

    def _targets_of(self, shape: Shape) -> tuple[_Target, ...]:
        targets = self._targets.get(shape)
        if targets is None:
            if len(self._targets) >= REMEMBERED_SHAPES_MAX:
                self._targets.clear()
            targets = self._targets[shape] = self._aim(shape)
        return targets

    def _aim(self, shape: Shape) -> tuple[_Target, ...]:
        wanted = {name for name, _ in shape.slots}
        if not wanted.issubset(self._slots):
            return ()
        needs = self._needs(shape)
        columns = self._columns(shape)
        levels: dict[int, list[tuple[RankedRows, RankKey]]] = {}
        for key, pool in self._pools.items():
            if (
                key.architecture == shape.architecture
                and (key.images is None or shape.image in key.images)
                and wanted <= key.capabilities
            ):
                ranking = pool.ranking(columns, self._rank_by(columns))
                start = self._start(key, dict(shape.per_node()))
                levels.setdefault(self._unused(key.capabilities, shape), []).append(
                    (ranking, start)
                )
        return tuple(_Target(tuple(levels[unused]), needs) for unused in sorted(levels))

    def _needs(self, shape: Shape) -> Needs:
        place = {name: index for index, name in enumerate(self.slots)}
        return tuple(sorted((place[name], amount) for name, amount in self.needs(shape)))

    def _columns(self, shape: Shape) -> tuple[int, ...]:
        """Return by which slots agents are compared, the scarcest first."""
        if self.ways.strategy == "roundrobin":
            return ()
        if self.ways.strategy == "legacy":
            wanted = {name for name, _ in shape.slots}
            return tuple(at for at, name in enumerate(self._slots) if name in wanted)
        return tuple(range(len(self._slots)))

    def _rank_by(self, columns: tuple[int, ...]) -> Callable[[Row], RankKey]:
        is_ascending = self.ways.strategy == "concentrated"
        if columns == tuple(range(len(self._slots))):  # all of them, as most strategies have it
            end = len(columns)
            if is_ascending:
                return lambda row: (*row.free[:end], row.agent.agent_id)
            return lambda row: (*map(neg, row.free[:end]), row.agent.agent_id)
        if is_ascending:
            return lambda row: (*(row.free[at] for at in columns), row.agent.agent_id)
        return lambda row: (*(-row.free[at] for at in columns), row.agent.agent_id)

    def _unused(self, capabilities: frozenset[str], shape: Shape) -> int:
        if self.ways.strategy in ("roundrobin", "legacy"):
            return 0
        return len(capabilities - {name for name, _ in shape.slots})

    def _start(self, key: _PoolKey, wanted: dict[str, int]) -> RankKey:
        # packing tries the fullest first: skip those that lack the scarcest slots outright
        start: list[int] = []
        if self.ways.strategy == "concentrated":
            for name in self._slots:
                if name in key.capabilities and name not in wanted:
                    break
                start.append(wanted.get(name, 0) if name in key.capabilities else 0)
        return tuple(start)

    def _designated(self, shape: Shape) -> Iterator[Row]:
        for row in self.matching(shape):
            if all(row.agent.capacity.get(name, 0) > 0 for name, _ in shape.slots):
                yield row

    def _find_designated(self, shape: Shape, kernels: int) -> Row | None:
        if not {name for name, _ in shape.slots}.issubset(self._slots):
            return None
        needs = self._needs(shape)
        rank = self._rank_by(self._columns(shape))
        after = self.last_chosen.get(shape.architecture, "")
        is_in_turn = self.ways.strategy == "roundrobin"

        def preference(row: Row) -> tuple[bool, int, RankKey]:
            unused = self._unused(_pool_key(row.agent).capabilities, shape)
            return is_in_turn and row.agent.agent_id <= after, unused, rank(row)

        return fit_in(sorted(self._designated(shape), key=preference), needs, shape, kernels)

    def _measure(self, row: Row) -> tuple[int, ...]:
        capacity, reserved = row.agent.capacity, row.reserved
        free = [
            capacity[name] - reserved.get(name, 0) if name in capacity else 0
            for name in self._slots
        ]
        if self.ways.max_containers is not None:
            free.append(MILLI * (self.ways.max_containers - row.kernels))
        return tuple(free)

    def _insert(self, row: Row) -> None:
        row.free = self._measure(row)
        key = _pool_key(row.agent)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool()
            self._targets.clear()
        pool.add(row)

    def _widen(self) -> None:
        names = {name for row in self.rows.values() for name in row.agent.capacity}
        self._slots = tuple(sorted(names | set(self._slots), key=slot_rank))
        self._pools.clear()
        self._targets.clear()
        for row in self.rows.values():
            self._insert(row)

    def _count(self, agent: Agent, sign: int) -> None:
        for name, amount in agent.capacity.items():
            self._totals[name] = self._totals.get(name, 0) + sign * amount


def ways_of(options: GroupOptions) -> Ways:
    """Return how the agents of a group are chosen."""
    return Ways(options.strategy, options.max_containers, options.allows_fragmentation)


def _best(
    targets: tuple[_Target, ...], shape: Shape, kernels: int, after: RankKey | None
) -> Row | None:
    for target in targets:
        best: Row | None = None
        best_key: RankKey = ()
        for ranking, start in target.rankings:
            begin = start if after is None else after
            row = ranking.first_fit(target.needs, shape, kernels, begin)
            if row is not None:
                key = ranking.key(row)
                if best is None or key < best_key:
                    best, best_key = row, key
        if best is not None:
            return best
    return None


def _pool_key(agent: Agent) -> _PoolKey:
    capabilities = frozenset(name for name, amount in agent.capacity.items() if amount > 0)
    return _PoolKey(agent.architecture, agent.images, capabilities)
