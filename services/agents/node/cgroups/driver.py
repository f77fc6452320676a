"""What the node asks of control groups, and the file habits that both versions share.

Every method blocks on small files of the kernel's and belongs in a worker thread.
"""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import EBUSY, ESRCH
from pathlib import Path
from signal import SIGKILL
from typing import Final, Literal, Protocol

import msgspec

Controller = Literal["cpu", "memory", "pids"]
PERIOD_US: Final = 100_000
QUOTA_MIN_US: Final = 1_000
SETTLE_TRIES: Final = 200
SETTLE_STEP_S: Final = 0.01


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings of one group; `None` is unlimited. `cpu_millis` counts thousandths of a core."""

    cpu_millis: int | None = None
    memory_bytes: int | None = None
    pids: int | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel uses now; None is what cannot be measured here.

    `memory_bytes` leaves out cached files that have not been used of late, `memory_peak_bytes`
    counts them. `pids` are processes and threads. Bytes of files are those of the storage itself.
    """

    cpu_s: float | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    pids: int | None = None
    io_read_bytes: int | None = None
    io_written_bytes: int | None = None
    oom_kills: int = 0


class CgroupDriver(Protocol):
    """Groups named by the node below one parent of its own."""

    version: int
    controls: frozenset[Controller]

    def create(self, name: str, limits: Limits) -> None:
        """Make the group (or take the existing one) and set its limits; raises `OSError`."""
        ...

    def entry_files(self, name: str) -> tuple[Path, ...]:
        """Return the files that a process id is written to so that it joins the group."""
        ...

    def oom_file(self, name: str) -> Path | None:
        """Return the file whose `oom_kill` line counts kills for want of memory."""
        ...

    def processes(self, name: str) -> tuple[int, ...]:
        """Return the ids of the group's processes; a group that is gone has none."""
        ...

    def usage(self, name: str) -> Usage:
        """Return what the group uses; nothing of a group that is gone."""
        ...

    def kill(self, name: str) -> bool:
        """Kill every process of the group, forks included; tell whether it is empty now."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the empty group, with bounded patience; tell whether it is gone."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the groups that exist below the node's parent."""
        ...

    def close(self) -> None:
        """Remove the node's parent group where it is empty."""
        ...


def read_lines(path: Path) -> list[str]:
    """Return the lines of a control file, none when the group is gone."""
    try:
        # Without a buffer: these are read for every kernel at every heartbeat.
        with path.open("rb", buffering=0) as file:
            return file.readall().decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        if error.errno == ESRCH:
            return []
        raise


def read_number(path: Path) -> int | None:
    """Return the number in a control file; None when there is no such file or no number."""
    lines = read_lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def find_keyed(path: Path, key: str) -> int | None:
    """Return the number behind `key` in a control file of `key number` lines, else None."""
    for line in read_lines(path):
        name, _, number = line.partition(" ")
        if name == key:
            return int(number)
    return None


def read_keyed(path: Path, key: str) -> int:
    """Return the number behind `key` in a control file of `key number` lines, else zero."""
    return find_keyed(path, key) or 0


def less(amount: int | None, part: int) -> int | None:
    """Return an amount without a part of it that was read a moment later."""
    return None if amount is None else max(0, amount - part)


def read_pids(path: Path) -> tuple[int, ...]:
    """Return the process ids listed in a `cgroup.procs` file."""
    return tuple(int(line) for line in read_lines(path) if line.strip().isdigit())


def write_value(path: Path, value: int | str) -> None:
    """Write one value in one call, as control files want it."""
    with path.open("w", encoding="ascii") as file:
        file.write(str(value))


def quota_us(cpu_millis: int) -> int:
    """Return the run time per `PERIOD_US` that `cpu_millis` buys; the kernel's least is 1 ms."""
    return max(QUOTA_MIN_US, cpu_millis * PERIOD_US // 1000)


def signal_all(pids: Iterable[int], signal: int = SIGKILL) -> None:
    """Signal processes; one that has gone meanwhile is fine."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal)


def settle(done: Callable[[], bool]) -> bool:
    """Wait until `done()`, at most about two seconds.

    The files asked about send no notice when they change, so this looks again and again.
    """
    for _ in range(SETTLE_TRIES):
        if done():
            return True
        time.sleep(SETTLE_STEP_S)
    return done()


def remove_directory(path: Path) -> bool:
    """Remove a group's directory; it stays busy for a moment after its last process."""

    def gone() -> bool:
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno != EBUSY:
                raise
            return False
        return True

    return settle(gone)
