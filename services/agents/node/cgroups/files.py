"""How much processes have read from storage and written to it, as the machine counts it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from services.agents.node.cgroups.driver import read_lines

# More processes than this cost more to ask than the answer is worth at every heartbeat.
PROCESSES_MAX: Final = 64


class Files(NamedTuple):
    """Bytes that went to and from storage; None where that cannot be told."""

    read_bytes: int | None = None
    written_bytes: int | None = None


def files_of(pids: Sequence[int], folder: Path = Path("/proc")) -> Files:
    """Return what these processes, and those of their children that have ended, moved.

    Nothing is told of too many processes, of none, or where the machine does not let us look.
    """
    if not 0 < len(pids) <= PROCESSES_MAX:
        return Files()
    read = written = 0
    try:
        for pid in pids:
            for line in read_lines(folder / str(pid) / "io"):
                name, _, number = line.partition(": ")
                if name == "read_bytes":
                    read += int(number)
                elif name == "write_bytes":
                    written += int(number)
    except PermissionError:
        return Files()
    return Files(read, written)
