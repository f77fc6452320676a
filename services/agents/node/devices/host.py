"""Processors, memory, disk and network of this machine, within the daemon's own limits."""

import os
import time
from pathlib import Path
from typing import Final

import psutil

from services.agents.node.cgroups.driver import read_lines
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
        self._cpu_limit = own_cpu_limit()
        self._network = psutil.net_io_counters()
        self._measured = time.monotonic()
        psutil.cpu_percent()

    def slots(self) -> Slots:
        """Return what kernels may be given: the processors, and memory less a reserve.

        The reserve, a twentieth or at least 256 MiB, is for the node itself and its system.
        """
        memory = self._memory_total()
        reserve = max(MEMORY_RESERVE_MIN_BYTES, memory // MEMORY_RESERVE_PART)
        cpu = len(os.sched_getaffinity(0)) * MILLI
        if self._cpu_limit is not None:
            cpu = min(cpu, self._cpu_limit)
        return {"cpu": cpu, "mem": max(0, memory - reserve)}

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
    """Return the memory limit (bytes) that a container or manager put on this process."""
    limits = []
    for folder, is_v2 in own_folders("memory", groups, own):
        lines = read_lines(folder / ("memory.max" if is_v2 else "memory.limit_in_bytes"))
        limits += [int(line) for line in lines[:1] if line.isdigit()]
    found = [limit for limit in limits if 0 < limit < 2**60]
    return min(found) if found else None


def own_cpu_limit(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return the processor time (thousandths) that this process may use, as `own_memory_limit`."""
    found = []
    for folder, is_v2 in own_folders("cpu", groups, own):
        if is_v2:
            words = " ".join(read_lines(folder / "cpu.max")).split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            words = [line for name in names for line in read_lines(folder / name)]
        if len(words) == 2 and words[0].isdigit() and int(words[1]) > 0:
            found.append(int(words[0]) * MILLI // int(words[1]))
    return min(found) if found else None


def own_folders(controller: str, groups: Path, own: Path) -> list[tuple[Path, bool]]:
    """Return the groups around this process that a controller works in; true for version 2."""
    found = []
    for line in read_lines(own):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controller if controllers else groups
        inside = root / path.strip("/")
        around = [one for one in (inside, *inside.parents) if one.is_relative_to(root)]
        found += [(one, not controllers) for one in around]
    return found
