"""The agents of one resource group, arranged so that a place is found without asking each."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from services.scheduler.placement.model import Agent, Shape, Strategy, slot_rank
from services.scheduler.placement.rows import Needs, RankedRows, RankKey, Row

REMEMBERED_SHAPES_MAX: Final = 20_000


class _PoolKey(NamedTuple):
    architecture: str
    images: frozenset[str] | None
    capabilities: frozenset[str]


class _Target(NamedTuple):
    """Where a shape looks: pools of equally many unused capabilities, with what each must have."""

    pools: tuple[tuple[RankedRows, RankKey], ...]
    needs: Needs


class AgentIndex:
    """Finds the agent that a strategy prefers among those that can hold a shape's next part.

    Order: fewest capabilities that the request doesn't use, then what is free slot by slot in
    the order of scarcity (most first when dispersed, least first when concentrated), then id.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy: Strategy = strategy
        self.rows: dict[str, Row] = {}
        self._slots: tuple[str, ...] = ()
        self._pools: dict[_PoolKey, RankedRows] = {}
        self._targets: dict[Shape, tuple[_Target, ...]] = {}

    def add(self, row: Row) -> None:
        """Take in an agent that may get kernels."""
        self.rows[row.agent.agent_id] = row
        if not set(row.agent.capacity).issubset(self._slots):
            self._widen()
        else:
            self._insert(row)

    def remove(self, agent_id: str) -> None:
        """Forget an agent; what is reserved on it stays in its row."""
        row = self.rows.pop(agent_id)
        key = _pool_key(row.agent)
        pool = self._pools[key]
        pool.remove(row)
        if not pool:
            del self._pools[key]
            self._targets.clear()

    def moved(self, row: Row) -> None:
        """Rank a row anew after something was reserved or released on it."""
        pool = row.pool
        if pool is None:
            raise KeyError(row.agent.agent_id)
        pool.remove(row)
        self._measure(row)
        pool.add(row)

    def offers(self, shape: Shape) -> bool:
        """Tell whether any agent has the image and every kind of slot that a shape asks for."""
        return bool(self._targets_of(shape))

    def find(self, shape: Shape, kernels: int) -> Row | None:
        """Return the agent for the next `kernels` kernels of a shape, or None."""
        for target in self._targets_of(shape):
            best: Row | None = None
            for pool, start in target.pools:
                row = pool.first_fit(target.needs, shape, kernels, start)
                if row is not None and (best is None or row.key < best.key):
                    best = row
            if best is not None:
                return best
        return None

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of all agents, in the order in which `Row.free` gives what is free."""
        return self._slots

    def matching(self, shape: Shape) -> Iterator[Row]:
        """Walk the agents that offer the shape's image, whatever is free on them."""
        for row in self.rows.values():
            agent = row.agent
            if agent.architecture == shape.architecture and (
                agent.images is None or shape.image in agent.images
            ):
                yield row

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
        place = {name: index for index, name in enumerate(self._slots)}
        needs = tuple(sorted((place[name], amount) for name, amount in shape.per_node()))
        levels: dict[int, list[tuple[RankedRows, RankKey]]] = {}
        for key, pool in self._pools.items():
            if (
                key.architecture == shape.architecture
                and (key.images is None or shape.image in key.images)
                and wanted <= key.capabilities
            ):
                start = self._start(key, dict(shape.per_node()))
                levels.setdefault(len(key.capabilities - wanted), []).append((pool, start))
        return tuple(_Target(tuple(levels[unused]), needs) for unused in sorted(levels))

    def _start(self, key: _PoolKey, wanted: dict[str, int]) -> RankKey:
        # packing tries the fullest first: skip those that lack the scarcest slots outright
        start: list[int] = []
        if self.strategy == "concentrated":
            for name in self._slots:
                if name in key.capabilities and name not in wanted:
                    break
                start.append(wanted.get(name, 0) if name in key.capabilities else 0)
        return tuple(start)

    def _measure(self, row: Row) -> None:
        capacity, reserved = row.agent.capacity, row.reserved
        free = [
            capacity[name] - reserved.get(name, 0) if name in capacity else 0
            for name in self._slots
        ]
        row.free = tuple(free)
        order = free if self.strategy == "concentrated" else [-amount for amount in free]
        row.key = (*order, row.agent.agent_id)

    def _insert(self, row: Row) -> None:
        self._measure(row)
        key = _pool_key(row.agent)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = RankedRows()
            self._targets.clear()
        pool.add(row)

    def _widen(self) -> None:
        names = {name for row in self.rows.values() for name in row.agent.capacity}
        self._slots = tuple(sorted(names | set(self._slots), key=slot_rank))
        self._pools.clear()
        self._targets.clear()
        for row in self.rows.values():
            self._insert(row)


def _pool_key(agent: Agent) -> _PoolKey:
    capabilities = frozenset(name for name, amount in agent.capacity.items() if amount > 0)
    return _PoolKey(agent.architecture, agent.images, capabilities)
