"""Agents with what is free on each, ranked so that the first that fits is found fast.

The order is the strategy's. Rows stand in blocks, and every block knows an upper bound of what is
free in it per slot, so a search looks into few blocks.
"""

from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import Agent, DeviceShares, Shape

BLOCK_MAX: Final = 128
Needs: TypeAlias = tuple[tuple[int, int], ...]
RankKey: TypeAlias = tuple[int | str, ...]


class Row:
    """An agent and what is handed out on it."""

    __slots__ = ("agent", "devices_used", "free", "key", "reserved")

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.reserved: dict[str, int] = {}
        self.devices_used: dict[str, int] = {}
        self.free: tuple[int, ...] = ()
        self.key: RankKey = ()

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

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._lasts: list[RankKey] = []

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return bool(self._blocks)

    def add(self, row: Row) -> None:
        """Put a row, whose key and free amounts are set, into its place."""
        if not self._blocks:
            self._blocks.append(_Block([row.key], [row]))
            self._lasts.append(row.key)
            return
        at = min(bisect_left(self._lasts, row.key), len(self._blocks) - 1)
        block = self._blocks[at]
        within = bisect_right(block.keys, row.key)
        block.keys.insert(within, row.key)
        block.rows.insert(within, row)
        peak = block.peak
        for slot, amount in enumerate(row.free):
            if amount > peak[slot]:  # noqa: PLR1730  # a call of max() a slot costs more
                peak[slot] = amount
        if len(block.keys) > BLOCK_MAX:
            half = len(block.keys) // 2
            halves = [
                _Block(block.keys[:half], block.rows[:half]),
                _Block(block.keys[half:], block.rows[half:]),
            ]
            self._blocks[at : at + 1] = halves
            self._lasts[at : at + 1] = [piece.keys[-1] for piece in halves]
        else:
            self._lasts[at] = block.keys[-1]

    def remove(self, row: Row) -> None:
        """Take out a row under the key that it was added with."""
        at = bisect_left(self._lasts, row.key)
        block = self._blocks[at]
        within = bisect_left(block.keys, row.key)
        if block.rows[within] is not row:
            raise KeyError(row.agent.agent_id)
        del block.keys[within]
        del block.rows[within]
        if block.keys:
            # the peak may now be too high, which only costs a look inside
            block.exact = False
            self._lasts[at] = block.keys[-1]
        else:
            del self._blocks[at]
            del self._lasts[at]

    def first_fit(self, needs: Needs, shape: Shape, kernels: int, start: RankKey) -> Row | None:
        """Return the first row from `start` on that holds `kernels` kernels of a shape."""
        blocks = self._blocks
        for at in range(bisect_left(self._lasts, start), len(blocks)):
            block = blocks[at]
            peak = block.peak
            for slot, amount in needs:
                if peak[slot] < amount:
                    break
            else:
                row = _fit_in(block.rows, needs, shape, kernels)
                if row is not None:
                    return row
                block.measure()
        return None


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
