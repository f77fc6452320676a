"""Process trees, for hosts without control groups."""

from pathlib import Path

from services.agents.node.cgroups.driver import read_lines


def children(pid: int) -> tuple[int, ...]:
    """Return the children of all threads of a process; none when it is gone."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return ()
    for task in tasks:
        for line in read_lines(task / "children"):
            found += [int(child) for child in line.split()]
    return tuple(found)


def descendants(pid: int) -> tuple[int, ...]:
    """Return everything below a process, which itself is left out."""
    found: list[int] = []
    waiting = list(children(pid))
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children(one)
    return tuple(found)
