"""Control groups version 1: one tree per controller, a group is a directory in each."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from services.agents.node.cgroups.driver import (
    PERIOD_US,
    Controller,
    Limits,
    Usage,
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

TREES: Final = ("cpu", "cpuacct", "memory", "pids", "freezer")
KILL_ROUNDS: Final = 5


class CgroupV1:
    """Groups `<mount>/<parent>/<name>` in every tree that is mounted and writable."""

    version = 1

    def __init__(self, mounts: Mapping[str, Path], parent: str) -> None:
        """Take the mount point of each usable controller; `parent` is this node's own group."""
        # A parent must not be removed while a group is being made in it.
        self._shape = Lock()
        self._bases = {tree: mounts[tree] / parent for tree in TREES if tree in mounts}
        wanted: tuple[Controller, ...] = ("cpu", "memory", "pids")
        self.controls: frozenset[Controller] = frozenset(
            controller for controller in wanted if controller in self._bases
        )

    def create(self, name: str, limits: Limits) -> None:
        """Make the group in every tree and set its limits."""
        with self._shape:
            for folder in self._folders(name):
                folder.mkdir(parents=True, exist_ok=True)
        if "cpu" in self._bases:
            folder = self._bases["cpu"] / name
            unlimited = limits.cpu_millis is None
            write_value(folder / "cpu.cfs_period_us", PERIOD_US)
            write_value(
                folder / "cpu.cfs_quota_us", -1 if unlimited else quota_us(limits.cpu_millis or 0)
            )
        if "memory" in self._bases:
            self._limit_memory(self._bases["memory"] / name, limits.memory_bytes)
        if "pids" in self._bases:
            ceiling = "max" if limits.pids is None else limits.pids
            write_value(self._bases["pids"] / name / "pids.max", ceiling)

    @staticmethod
    def _limit_memory(folder: Path, memory_bytes: int | None) -> None:
        ceiling = -1 if memory_bytes is None else memory_bytes
        with_swap = folder / "memory.memsw.limit_in_bytes"
        if with_swap.exists():
            # Memory and swap together may never be below memory alone, in whichever order we go.
            write_value(with_swap, -1)
        write_value(folder / "memory.limit_in_bytes", ceiling)
        if with_swap.exists():
            write_value(with_swap, ceiling)

    def entry_files(self, name: str) -> tuple[Path, ...]:
        """Return one file per tree."""
        return tuple(folder / "cgroup.procs" for folder in self._folders(name))

    def oom_file(self, name: str) -> Path | None:
        """Return the memory tree's OOM file."""
        if "memory" not in self._bases:
            return None
        return self._bases["memory"] / name / "memory.oom_control"

    def processes(self, name: str) -> tuple[int, ...]:
        """Return the processes of the group in any tree."""
        found: set[int] = set()
        for entry in self.entry_files(name):
            found.update(read_pids(entry))
        return tuple(sorted(found))

    def usage(self, name: str) -> Usage:
        """Read the accounting of the trees that are there."""
        none = Path("absent")
        accounting = self._bases.get("cpuacct", none) / name
        memory = self._bases.get("memory", none) / name
        pids = self._bases.get("pids", none) / name
        cpu_ns = read_number(accounting / "cpuacct.usage")
        cached = read_keyed(memory / "memory.stat", "total_inactive_file")
        # What version 1 counts of files leaves out what is written later, so processes are asked.
        files = files_of(read_pids(self.entry_files(name)[0]))
        return Usage(
            cpu_s=None if cpu_ns is None else cpu_ns / 1e9,
            memory_bytes=less(read_number(memory / "memory.usage_in_bytes"), cached),
            memory_peak_bytes=read_number(memory / "memory.max_usage_in_bytes"),
            pids=read_number(pids / "pids.current"),
            io_read_bytes=files.read_bytes,
            io_written_bytes=files.written_bytes,
            oom_kills=read_keyed(memory / "memory.oom_control", "oom_kill"),
        )

    def kill(self, name: str) -> bool:
        """Freeze, kill, thaw: what is frozen cannot fork away; dying needs the thaw."""
        for _ in range(KILL_ROUNDS):
            if not self.processes(name):
                return True
            self._freeze(name)
            signal_all(self.processes(name))
            self._thaw(name)
            if settle(lambda: not self.processes(name)):
                return True
        return False

    def _freeze(self, name: str) -> None:
        if "freezer" not in self._bases:
            return
        state = self._bases["freezer"] / name / "freezer.state"
        with suppress(FileNotFoundError):
            write_value(state, "FROZEN")
            settle(lambda: read_lines(state)[:1] in ([], ["FROZEN"]))

    def _thaw(self, name: str) -> None:
        if "freezer" in self._bases:
            with suppress(FileNotFoundError):
                write_value(self._bases["freezer"] / name / "freezer.state", "THAWED")

    def remove(self, name: str) -> bool:
        """Remove the group from every tree, and the parent with its last group."""
        removed = [remove_directory(folder) for folder in self._folders(name)]
        self.close()
        return all(removed)

    def names(self) -> tuple[str, ...]:
        """Return what exists in any tree."""
        return tuple(
            sorted(
                {
                    entry.name
                    for base in self._bases.values()
                    if base.is_dir()
                    for entry in base.iterdir()
                    if entry.is_dir()
                }
            )
        )

    def close(self) -> None:
        """Remove the parent groups that hold nothing any more; `create` makes them again."""
        with self._shape:
            if not self.names():
                for base in set(self._bases.values()):
                    remove_directory(base)

    def _folders(self, name: str) -> tuple[Path, ...]:
        # Controllers that are mounted together share one directory.
        return tuple(dict.fromkeys(base / name for base in self._bases.values()))
