"""Control groups version 2: one tree for all controllers."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from services.agents.node.cgroups.driver import (
    PERIOD_US,
    Controller,
    Limits,
    Usage,
    find_keyed,
    less,
    quota_us,
    read_keyed,
    read_lines,
    read_number,
    read_pids,
    remove_directory,
    settle,
    signal_all,
    write_value,
)
from services.agents.node.cgroups.files import files_of

KILL_ROUNDS: Final = 5
WANTED: Final[tuple[Controller, ...]] = ("cpu", "memory", "pids")


class CgroupV2:
    """Groups `<base>/<name>`, where `base` hands its controllers down to its children."""

    version = 2

    def __init__(self, base: Path) -> None:
        """Take the node's own group, which must exist."""
        self._base = base
        handed_down = set(" ".join(read_lines(base / "cgroup.subtree_control")).split())
        self.controls: frozenset[Controller] = frozenset(
            controller for controller in WANTED if controller in handed_down
        )

    def create(self, name: str, limits: Limits) -> None:
        """Make the group and set the limits of the controllers it has."""
        folder = self._base / name
        folder.mkdir(exist_ok=True)
        if "cpu" in self.controls:
            quota = "max" if limits.cpu_millis is None else quota_us(limits.cpu_millis)
            write_value(folder / "cpu.max", f"{quota} {PERIOD_US}")
        if "memory" in self.controls:
            ceiling = "max" if limits.memory_bytes is None else limits.memory_bytes
            write_value(folder / "memory.max", ceiling)
            if limits.memory_bytes is not None and (folder / "memory.swap.max").exists():
                write_value(folder / "memory.swap.max", 0)
        if "pids" in self.controls:
            write_value(folder / "pids.max", "max" if limits.pids is None else limits.pids)

    def entry_files(self, name: str) -> tuple[Path, ...]:
        """Return the group's one entry."""
        return (self._base / name / "cgroup.procs",)

    def oom_file(self, name: str) -> Path | None:
        """Return the group's memory events."""
        return self._base / name / "memory.events" if "memory" in self.controls else None

    def processes(self, name: str) -> tuple[int, ...]:
        """Return the group's processes."""
        return read_pids(self._base / name / "cgroup.procs")

    def usage(self, name: str) -> Usage:
        """Read the group's accounting."""
        folder = self._base / name
        cpu_us = find_keyed(folder / "cpu.stat", "usage_usec")
        cached = read_keyed(folder / "memory.stat", "inactive_file")
        files = files_of(read_pids(folder / "cgroup.procs"))
        return Usage(
            cpu_s=None if cpu_us is None else cpu_us / 1e6,
            memory_bytes=less(read_number(folder / "memory.current"), cached),
            memory_peak_bytes=read_number(folder / "memory.peak"),
            pids=read_number(folder / "pids.current"),
            io_read_bytes=files.read_bytes,
            io_written_bytes=files.written_bytes,
            oom_kills=read_keyed(folder / "memory.events", "oom_kill"),
        )

    def kill(self, name: str) -> bool:
        """Kill the whole group in one write; before Linux 5.14, freeze, kill and thaw."""
        folder = self._base / name
        for _ in range(KILL_ROUNDS):
            if not self._populated(folder):
                return True
            if (folder / "cgroup.kill").exists():
                write_value(folder / "cgroup.kill", 1)
            else:
                self._kill_frozen(folder)
            if settle(lambda: not self._populated(folder)):
                return True
        return False

    @staticmethod
    def _populated(folder: Path) -> bool:
        return read_keyed(folder / "cgroup.events", "populated") == 1

    @staticmethod
    def _kill_frozen(folder: Path) -> None:
        with suppress(FileNotFoundError):
            write_value(folder / "cgroup.freeze", 1)
            settle(lambda: read_keyed(folder / "cgroup.events", "frozen") == 1)
            signal_all(read_pids(folder / "cgroup.procs"))
            write_value(folder / "cgroup.freeze", 0)

    def remove(self, name: str) -> bool:
        """Remove the group."""
        return remove_directory(self._base / name)

    def names(self) -> tuple[str, ...]:
        """Return the groups below the node's own."""
        if not self._base.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in self._base.iterdir() if entry.is_dir()))

    def close(self) -> None:
        """Remove the node's own group where it holds nothing any more."""
        if self._base.is_dir() and not self.names():
            remove_directory(self._base)
