"""What a tree of processes uses, for hosts without control groups."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from services.agents.node.cgroups.driver import Usage, read_lines
from services.agents.node.cgroups.files import files_of
from services.agents.node.process.tree import descendants

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
TICKS_S: Final = os.sysconf("SC_CLK_TCK")
# Where the numbers are behind the name in `/proc/<pid>/stat`, which may hold anything.
_OWN_TICKS: Final = (11, 12)
_ENDED_TICKS: Final = (13, 14)
_THREADS: Final = 17
_RESIDENT: Final = 21
_NEEDED: Final = 22


class _Process(NamedTuple):
    own_s: float
    ended_s: float
    threads: int
    resident_bytes: int


def tree_usage(keeper: int) -> Usage:
    """Return what everything below a keeper uses; nothing where there is nothing any more.

    Memory that processes share is counted for each. What those have used that the keeper has seen
    end counts on.
    """
    pids = descendants(keeper)
    found = [one for one in map(_read, pids) if one is not None]
    above = _read(keeper)
    if above is None or not found:
        return Usage()
    files = files_of(pids)
    return Usage(
        cpu_s=above.ended_s + sum(one.own_s + one.ended_s for one in found),
        memory_bytes=sum(one.resident_bytes for one in found),
        pids=sum(one.threads for one in found),
        io_read_bytes=files.read_bytes,
        io_written_bytes=files.written_bytes,
    )


def _read(pid: int) -> _Process | None:
    text = " ".join(read_lines(Path(f"/proc/{pid}/stat")))
    words = text.rpartition(")")[2].split()
    if len(words) < _NEEDED:
        return None
    return _Process(
        own_s=sum(int(words[place]) for place in _OWN_TICKS) / TICKS_S,
        ended_s=sum(int(words[place]) for place in _ENDED_TICKS) / TICKS_S,
        threads=int(words[_THREADS]),
        resident_bytes=int(words[_RESIDENT]) * PAGE_BYTES,
    )
