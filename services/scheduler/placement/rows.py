"""Agents with what is free on each, ranked so that the first that fits is found fast.

The order is the strategy's. Rows stand in blocks, and every block knows an upper bound of what is
free in it per slot, as does every span of blocks: a search looks into few blocks, however many
agents are full.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import Agent, DeviceShares, Shape

BLOCK_MAX: Final = 128
SPAN: Final = 16
Needs: TypeAlias = tuple[tuple[int, int], ...]
RankKey: TypeAlias = tuple[int | str, ...]


class Row:
    """An agent and what is handed out on it."""

    __slots__ = (
        "agent",
        "allows_fragmentation",
        "devices_used",
        "free",
        "kernels",
        "pool",
        "reserved",
    )

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.reserved: dict[str, int] = {}
        self.devices_used: dict[str, int] = {}
        self.kernels = 0
        self.allows_fragmentation = True
        self.free: tuple[int, ...] = ()
        self.pool: Pool | None = None

    def left(self) -> dict[str, int]:
        """Return what is free by slot; it may be negative after the agent has shrunk."""
        reserved = self.reserved
        return {
            name: amount - reserved.get(name, 0) for name, amount in self.agent.capacity.items()
        }

    def devices_for(self, shape: Shape, kernels: int) -> list[DeviceShares] | None:
        """Choose devices for each of `kernels` kernels; None when the remainders don't allow it."""
        devices = self.agent.devices
        if not devices:
            return [{}] * kernels
        known = {device.slot for device in devices}
        used = dict(self.devices_used)
        chosen: list[DeviceShares] = []
        for _ in range(kernels):
            shares: DeviceShares = {}
            for slot, amount in shape.slots:
                if slot not in known:
                    continue
                parts = allocate(
                    slot, amount, devices, used, allows_fragmentation=self.allows_fragmentation
                )
                if parts is None:
                    return None
                shares[slot] = parts
                for device_id, part in parts.items():
                    used[device_id] = used.get(device_id, 0) + part
            chosen.append(shares)
        return chosen


class _Block:
    __slots__ = ("exact", "keys", "peak", "rows")

    def __init__(self, keys: list[RankKey], rows: list[Row]) -> None:
        self.keys = keys
        self.rows = rows
        self.peak: list[int] = []
        self.exact = False
        self.measure()

    def measure(self) -> None:
        if not self.exact:
            columns = zip(*(row.free for row in self.rows), strict=True)
            self.peak = [max(column) for column in columns]
            self.exact = True


class RankedRows:
    """Rows that offer the same capabilities, in the order in which a strategy tries them."""

    __slots__ = ("_blocks", "_keys", "_lasts", "_rank", "_spans")

    def __init__(self, rank: Callable[[Row], RankKey]) -> None:
        self._rank = rank
        self._keys: dict[str, RankKey] = {}
        self._blocks: list[_Block] = []
        self._lasts: list[RankKey] = []
        self._spans: list[list[int]] = []  # the peak of every SPAN blocks; none: to be measured

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return bool(self._blocks)

    def key(self, row: Row) -> RankKey:
        """Return where a row stands among others of the same order, also of other rankings."""
        return self._keys[row.agent.agent_id]

    def add(self, row: Row) -> None:
        """Put a row, whose free amounts are set, into its place."""
        key = self._keys[row.agent.agent_id] = self._rank(row)
        if not self._blocks:
            self._blocks.append(_Block([key], [row]))
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._blocks) - 1)
        block = self._blocks[at]
        within = bisect_right(block.keys, key)
        block.keys.insert(within, key)
        block.rows.insert(within, row)
        _raise(block.peak, row.free)
        if self._spans:
            _raise(self._spans[at // SPAN], row.free)
        if len(block.keys) > BLOCK_MAX:
            half = len(block.keys) // 2
            halves = [
                _Block(block.keys[:half], block.rows[:half]),
                _Block(block.keys[half:], block.rows[half:]),
            ]
            self._blocks[at : at + 1] = halves
            self._lasts[at : at + 1] = [piece.keys[-1] for piece in halves]
            self._spans.clear()
        elif within == len(block.keys) - 1:
            self._lasts[at] = key

    def remove(self, row: Row) -> None:
        """Take out a row, whatever it stands for now, from where it was put."""
        key = self._keys.pop(row.agent.agent_id)
        at = bisect_left(self._lasts, key)
        block = self._blocks[at]
        within = bisect_left(block.keys, key)
        del block.keys[within]
        del block.rows[within]
        if not block.keys:
            del self._blocks[at]
            del self._lasts[at]
            self._spans.clear()
            return
        # the peak may now be too high, which only costs a look inside
        block.exact = False
        if within == len(block.keys):
            self._lasts[at] = block.keys[-1]

    def first_fit(self, needs: Needs, shape: Shape, kernels: int, start: RankKey) -> Row | None:
        """Return the first row from `start` on that holds `kernels` kernels of a shape."""
        spans = self._spans or self._measured()
        at = bisect_left(self._lasts, start)
        for number in range(at // SPAN, len(spans)):
            peak = spans[number]
            for slot, amount in needs:
                if peak[slot] < amount:
                    break
            else:
                row = self._fit_among(
                    max(at, number * SPAN), number, needs, (shape, kernels, start)
                )
                if row is not None:
                    return row
                spans[number] = self._peak_of(number)
        return None

    def _fit_among(
        self, first: int, span: int, needs: Needs, wanted: tuple[Shape, int, RankKey]
    ) -> Row | None:
        shape, kernels, start = wanted
        for at in range(first, min((span + 1) * SPAN, len(self._blocks))):
            block = self._blocks[at]
            peak = block.peak
            for slot, amount in needs:
                if peak[slot] < amount:
                    break
            else:
                rows = block.rows
                if block.keys[0] < start:
                    rows = rows[bisect_left(block.keys, start) :]
                row = fit_in(rows, needs, shape, kernels)
                if row is not None:
                    return row
                block.measure()
        return None

    def _measured(self) -> list[list[int]]:
        count = -(-len(self._blocks) // SPAN)
        self._spans = [self._peak_of(number) for number in range(count)]
        return self._spans

    def _peak_of(self, span: int) -> list[int]:
        blocks = self._blocks[span * SPAN : (span + 1) * SPAN]
        return [max(column) for column in zip(*(block.peak for block in blocks), strict=True)]


def _raise(peak: list[int], free: tuple[int, ...]) -> None:
    for slot, amount in enumerate(free):
        if amount > peak[slot]:  # noqa: PLR1730  # a call of max() a slot costs more
            peak[slot] = amount


class Pool:
    """Agents of equal capabilities, ranked in every order in which requests look at them."""

    __slots__ = ("_rankings", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._rankings: dict[tuple[int, ...], RankedRows] = {}

    def ranking(self, columns: tuple[int, ...], rank: Callable[[Row], RankKey]) -> RankedRows:
        """Return the ranking by some columns of what is free, made when it is asked for first."""
        ranking = self._rankings.get(columns)
        if ranking is None:
            ranking = self._rankings[columns] = RankedRows(rank)
            for row in self.rows.values():
                ranking.add(row)
        return ranking

    def add(self, row: Row) -> None:
        """Take in a row, whose free amounts are set."""
        row.pool = self
        self.rows[row.agent.agent_id] = row
        for ranking in self._rankings.values():
            ranking.add(row)

    def remove(self, row: Row) -> None:
        """Let a row go."""
        row.pool = None
        del self.rows[row.agent.agent_id]
        for ranking in self._rankings.values():
            ranking.remove(row)

    def move(self, row: Row, free: tuple[int, ...]) -> None:
        """Rank a row anew with what is free on it now."""
        rankings = self._rankings.values()
        for ranking in rankings:
            ranking.remove(row)
        row.free = free
        for ranking in rankings:
            ranking.add(row)


def fit_in(rows: Iterable[Row], needs: Needs, shape: Shape, kernels: int) -> Row | None:
    """Return the first row that has what is needed, also of devices that fit together."""
    for row in rows:
        free = row.free
        for slot, amount in needs:
            if free[slot] < amount:
                break
        else:
            if not row.agent.devices or row.devices_for(shape, kernels) is not None:
                return row
    return None
