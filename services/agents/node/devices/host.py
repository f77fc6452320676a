"""Processors, memory, disk and network of this machine, within the daemon's own limits."""

import os
import time
from pathlib import Path
from typing import Final

import psutil

from services.agents.node.cgroups.driver import read_keyed, read_lines
from shared.contracts.agents import DeviceLoad, NodeLoad
from shared.kernel.slots import MILLI, Slots

MEMORY_RESERVE_PART: Final = 20
MEMORY_RESERVE_MIN_BYTES: Final = 256 * 2**20


class HostDevices:
    """Reads the machine; every method blocks for well under a millisecond."""

    def __init__(self, data: Path) -> None:
        """Measure the disk that `data` lies on; rates count from now."""
        self._data = data
        self._limit = own_memory_limit()
        self._network = psutil.net_io_counters()
        self._measured = time.monotonic()
        psutil.cpu_percent()

    def slots(self) -> Slots:
        """Return what kernels may be given: all processors, and memory less a reserve.

        The reserve, a twentieth or at least 256 MiB, is for the node itself and its system.
        """
        memory = self._memory_total()
        reserve = max(MEMORY_RESERVE_MIN_BYTES, memory // MEMORY_RESERVE_PART)
        return {"cpu": len(os.sched_getaffinity(0)) * MILLI, "mem": max(0, memory - reserve)}

    def _memory_total(self) -> int:
        total: int = psutil.virtual_memory().total
        return total if self._limit is None else min(total, self._limit)

    def load(self, devices: tuple[DeviceLoad, ...]) -> NodeLoad:
        """Return what the machine does now; rates are since the last call."""
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._data))
        network = psutil.net_io_counters()
        now = time.monotonic()
        elapsed_s = max(1e-3, now - self._measured)
        before, self._network, self._measured = self._network, network, now
        total = self._memory_total()
        return NodeLoad(
            cpu_percent=psutil.cpu_percent(),
            mem_used_bytes=max(0, min(total, memory.total - memory.available)),
            mem_total_bytes=total,
            disk_used_bytes=disk.used,
            disk_total_bytes=disk.total,
            net_received_bytes_s=max(0, network.bytes_recv - before.bytes_recv) / elapsed_s,
            net_sent_bytes_s=max(0, network.bytes_sent - before.bytes_sent) / elapsed_s,
            devices=devices,
        )


def own_memory_limit(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return the memory limit that a container or service manager put on this process."""
    limits = []
    for line in read_lines(own):
        _, controllers, path = line.split(":", 2)
        inside = path.strip("/")
        if "memory" in controllers.split(","):
            stat = groups / "memory" / inside / "memory.stat"
            limits.append(read_keyed(stat, "hierarchical_memory_limit"))
        elif not controllers:
            limits += [
                int(lines[0])
                for folder in (groups / inside, *(groups / inside).parents)
                if folder.is_relative_to(groups)
                and (lines := read_lines(folder / "memory.max"))
                and lines[0].isdigit()
            ]
    found = [limit for limit in limits if 0 < limit < 2**60]
    return min(found) if found else None
