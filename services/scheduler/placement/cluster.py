"""All agents with what is handed out on them, whatever group they belong to at the moment."""

import msgspec

from services.scheduler.placement.index import AgentIndex, ways_of
from services.scheduler.placement.model import (
    Agent,
    DeviceShares,
    GroupOptions,
    KernelPlace,
    Shape,
)
from services.scheduler.placement.rows import Row


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What one kernel holds on an agent; one of a million that the collector need not visit."""

    agent_id: str
    slots: tuple[tuple[str, int], ...]
    devices: DeviceShares


class Cluster:
    """Agents, holdings, and one index of usable agents a group.

    A holding outlives its agent's loss: it ends only when the kernel is known to be gone.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.holdings: dict[str, Holding] = {}
        self.indexes: dict[str, AgentIndex] = {}
        self.version = 0

    def open_group(self, options: GroupOptions) -> AgentIndex:
        """Return the index of a group, built anew when agents are to be chosen in another way."""
        ways = ways_of(options)
        index = self.indexes.get(options.name)
        if index is None or index.ways != ways:
            self.version += 1
            index = self.indexes[options.name] = AgentIndex(ways)
            for row in self.rows.values():
                if row.agent.group == options.name and _usable(row.agent):
                    index.add(row)
        return index

    def close_group(self, group: str) -> None:
        """Forget a group; its agents, if any, wait for one that has them."""
        self.version += 1
        index = self.indexes.pop(group, None)
        if index is not None:
            for agent_id in tuple(index.rows):
                index.remove(agent_id)

    def put(self, agent: Agent) -> None:
        """Take over what is known of an agent now; what it holds stays as it is."""
        self.version += 1
        row = self.rows.get(agent.agent_id)
        if row is None:
            row = self.rows[agent.agent_id] = Row(agent)
        else:
            self._unlist(row)
            row.agent = agent
        index = self.indexes.get(agent.group)
        if index is not None and _usable(agent):
            index.add(row)

    def hold(
        self,
        kernel_id: str,
        agent_id: str,
        slots: tuple[tuple[str, int], ...],
        devices: DeviceShares,
    ) -> None:
        """Reserve for a kernel; once only, however often it is said."""
        if kernel_id in self.holdings:
            return
        self.version += 1
        self.holdings[kernel_id] = Holding(agent_id, slots, devices)
        row = self.rows.get(agent_id)
        if row is None:
            unknown = Agent(agent_id, group="", architecture="", capacity={}, alive=False)
            row = self.rows[agent_id] = Row(unknown)
        self._change(row, slots, devices, 1)

    def release(self, kernel_id: str) -> Row | None:
        """Free what a kernel held; return the agent's row, or None if it held nothing."""
        holding = self.holdings.pop(kernel_id, None)
        if holding is None:
            return None
        self.version += 1
        row = self.rows[holding.agent_id]
        self._change(row, holding.slots, holding.devices, -1)
        return row

    def place(
        self, index: AgentIndex, shape: Shape, kernel_ids: tuple[str, ...]
    ) -> tuple[KernelPlace, ...] | None:
        """Reserve places for all kernels of a shape, or none at all."""
        nodes = shape.nodes()
        chosen_before = self.last_chosen(index, shape)
        each = len(kernel_ids) // nodes
        places: list[KernelPlace] = []
        for node in range(nodes):
            row = index.find(shape, each)
            devices = row.devices_for(shape, each) if row else None
            if row is None or devices is None:
                for place in places:
                    self.release(place.kernel_id)
                index.last_chosen.update(chosen_before)
                return None
            index.chosen(row)
            for kernel_id, shares in zip(
                kernel_ids[node * each : (node + 1) * each], devices, strict=True
            ):
                self.hold(kernel_id, row.agent.agent_id, shape.slots, shares)
                places.append(KernelPlace(kernel_id, row.agent.agent_id, shares))
        return tuple(places)

    def last_chosen(self, index: AgentIndex, shape: Shape) -> dict[str, str]:
        """Return who was chosen last; after a restart, who holds what was handed out last."""
        if index.ways.strategy != "roundrobin":
            return {}
        architecture = shape.architecture
        if architecture not in index.last_chosen:
            latest = (index.rows.get(one.agent_id) for one in reversed(self.holdings.values()))
            last = next(
                (row for row in latest if row and row.agent.architecture == architecture), None
            )
            index.last_chosen[architecture] = last.agent.agent_id if last else ""
        return {architecture: index.last_chosen[architecture]}

    def _unlist(self, row: Row) -> None:
        index = self.indexes.get(row.agent.group)
        if index is not None and row.agent.agent_id in index.rows:
            index.remove(row.agent.agent_id)

    def _change(
        self,
        row: Row,
        slots: tuple[tuple[str, int], ...],
        devices: DeviceShares,
        sign: int,
    ) -> None:
        reserved = row.reserved
        row.kernels += sign
        for name, amount in slots:
            total = reserved.get(name, 0) + sign * amount
            if total:
                reserved[name] = total
            else:
                del reserved[name]
        for parts in devices.values():
            for device_id, part in parts.items():
                total = row.devices_used.get(device_id, 0) + sign * part
                row.devices_used[device_id] = total
        if row.pool is not None:
            self.indexes[row.agent.group].moved(row)


def _usable(agent: Agent) -> bool:
    return agent.alive and agent.schedulable and not agent.gone
