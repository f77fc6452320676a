"""Which control groups this machine lets us use."""

import os
from collections.abc import Iterable
from errno import EBUSY
from pathlib import Path
from typing import Final, NamedTuple

from services.agents.node.cgroups.driver import (
    CgroupDriver,
    read_lines,
    remove_directory,
    write_value,
)
from services.agents.node.cgroups.v1 import TREES, CgroupV1
from services.agents.node.cgroups.v2 import WANTED, CgroupV2

OWN_LEAF: Final = "daemon"


class Mount(NamedTuple):
    """One mounted tree: where, of which version, with which options (controllers in v1)."""

    point: Path
    version: int
    options: frozenset[str]


def mounted(mountinfo: Iterable[str]) -> list[Mount]:
    """Read the cgroup mounts out of the lines of `/proc/self/mountinfo`."""
    mounts = []
    for line in mountinfo:
        before, _, after = line.partition(" - ")
        kind, _, super_options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            point = Path(before.split(" ")[4].replace("\\040", " "))
            version = 1 if kind == "cgroup" else 2
            mounts.append(Mount(point, version, frozenset(super_options.strip().split(","))))
    return mounts


def detect(
    parent: str, *, mountinfo: Path = Path("/proc/self/mountinfo")
) -> tuple[CgroupDriver | None, str]:
    """Return the best driver and one sentence about it; no driver where nothing is writable.

    Version 2 is taken where it holds the controllers, version 1 otherwise. `parent` names the
    group that this node makes for itself; it must be unique among the nodes of a machine.
    """
    mounts = mounted(read_lines(mountinfo))
    for mount in mounts:
        if mount.version == 2 and (driver := open_v2(mount.point, parent)) is not None:
            return driver, f"Limits are set through control groups version 2 at {mount.point}."
    return open_v1(mounts, parent)


def open_v1(mounts: Iterable[Mount], parent: str) -> tuple[CgroupDriver | None, str]:
    """Return the version 1 driver over the trees in which a group can be made."""
    usable: dict[str, Path] = {}
    for mount in mounts:
        for tree in TREES:
            if mount.version == 1 and tree in mount.options and _can_make(mount.point / parent):
                usable[tree] = mount.point
    if not usable.keys() & set(WANTED):
        return None, "No control group is writable here; limits fall back to resource limits."
    names = ", ".join(sorted(usable))
    driver = CgroupV1(usable, parent)
    driver.close()
    return driver, f"Limits are set through control groups version 1: {names}."


def open_v2(root: Path, parent: str, *, own: Path | None = None) -> CgroupV2 | None:
    """Return the version 2 driver below the tree's root, or below the daemon's own group.

    A manager such as systemd gives a service its own group (`Delegate=yes`); a group that hands
    controllers down may hold no process itself, so the daemon first moves into a leaf.
    """
    if not set(WANTED) <= set(" ".join(read_lines(root / "cgroup.controllers")).split()):
        return None
    group = own if own is not None else _own_group(root)
    for above in dict.fromkeys((root, group)):
        base = above / parent
        if not _can_make(base):
            continue
        if _hand_down(above, move_own=above == group) and _hand_down(base, move_own=False):
            return CgroupV2(base)
        remove_directory(base)
    return None


def _own_group(root: Path) -> Path:
    for line in read_lines(Path("/proc/self/cgroup")):
        if line.startswith("0::"):
            return root / line[3:].strip("/")
    return root


def _hand_down(group: Path, *, move_own: bool) -> bool:
    wish = " ".join(f"+{controller}" for controller in WANTED)
    try:
        write_value(group / "cgroup.subtree_control", wish)
    except OSError as error:
        if error.errno != EBUSY or not move_own:
            return False
    else:
        return True
    try:
        leaf = group / OWN_LEAF
        leaf.mkdir(exist_ok=True)
        write_value(leaf / "cgroup.procs", os.getpid())
        write_value(group / "cgroup.subtree_control", wish)
    except OSError:
        return False
    return True


def _can_make(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
