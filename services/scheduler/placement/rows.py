"""Agents with what is free on each, ranked so that the first that fits is found fast.

The order is the strategy's. Rows stand in blocks, and every block knows an upper bound of what is
free in it per slot, as does every span of blocks: a search looks into few blocks, however many
agents are full.
"""

from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import Agent, DeviceShares, Shape

BLOCK_MAX: Final = 128
SPAN: Final = 16
Needs: TypeAlias = tuple[tuple[int, int], ...]
RankKey: TypeAlias = tuple[int | str, ...]


class Row:
    """An agent and what is handed out on it."""

    __slots__ = ("agent", "devices_used", "free", "key", "pool", "reserved")

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.reserved: dict[str, int] = {}
        self.devices_used: dict[str, int] = {}
        self.free: tuple[int, ...] = ()
        self.key: RankKey = ()
        self.pool: RankedRows | None = None

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
                parts = allocate(slot, amount, devices, used)
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

    __slots__ = ("_blocks", "_lasts", "_spans")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._lasts: list[RankKey] = []
        self._spans: list[list[int]] = []  # the peak of every SPAN blocks; none: to be measured

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return bool(self._blocks)

    def add(self, row: Row) -> None:
        """Put a row, whose key and free amounts are set, into its place."""
        row.pool = self
        if not self._blocks:
            self._blocks.append(_Block([row.key], [row]))
            self._lasts.append(row.key)
            return
        at = min(bisect_left(self._lasts, row.key), len(self._blocks) - 1)
        block = self._blocks[at]
        within = bisect_right(block.keys, row.key)
        block.keys.insert(within, row.key)
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
            self._lasts[at] = row.key

    def remove(self, row: Row) -> None:
        """Take out a row under the key that it was added with."""
        at = bisect_left(self._lasts, row.key)
        block = self._blocks[at]
        within = bisect_left(block.keys, row.key)
        if block.rows[within] is not row:
            raise KeyError(row.agent.agent_id)
        row.pool = None
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
                row = self._fit_among(max(at, number * SPAN), number, needs, (shape, kernels))
                if row is not None:
                    return row
                spans[number] = self._peak_of(number)
        return None

    def _fit_among(
        self, first: int, span: int, needs: Needs, wanted: tuple[Shape, int]
    ) -> Row | None:
        for at in range(first, min((span + 1) * SPAN, len(self._blocks))):
            block = self._blocks[at]
            peak = block.peak
            for slot, amount in needs:
                if peak[slot] < amount:
                    break
            else:
                row = _fit_in(block.rows, needs, *wanted)
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


def _fit_in(rows: list[Row], needs: Needs, shape: Shape, kernels: int) -> Row | None:
    for row in rows:
        free = row.free
        for slot, amount in needs:
            if free[slot] < amount:
                break
        else:
            if not row.agent.devices or row.devices_for(shape, kernels) is not None:
                return row
    return None
