"""Starting a keeper: its plan goes in by an anonymous file, so that no secret touches the disk."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from services.agents.node.cgroups.driver import CgroupDriver, Limits
from services.agents.node.process.confine import Confinement
from services.agents.node.process.folder import AttemptFolder
from services.agents.node.runtime import KernelJob

SHIM: Final = Path(__file__).with_name("shim.py")
OOM_SCORE: Final = 300


def make_plan(
    job: KernelJob,
    launch: int,
    folder: AttemptFolder,
    confinement: Confinement,
    groups: CgroupDriver | None,
    log_limit_bytes: int,
) -> dict[str, Any]:
    """Return what the keeper has to know; see `shim.py`."""
    wrapped = confinement.wrap(job, folder)
    entries = () if groups is None else groups.entry_files(str(job.key))
    oom_file = None if groups is None else groups.oom_file(str(job.key))
    return {
        "folder": str(folder.path),
        "launch": launch,
        "argv": wrapped.argv,
        "environ": wrapped.environ,
        "cwd": wrapped.cwd,
        "uid": wrapped.uid,
        "gid": wrapped.uid,
        "status_argument": wrapped.status_argument,
        "no_new_privileges": True,
        "oom_score_adj": OOM_SCORE,
        "rlimits": fallback_rlimits(job.limits, confinement, groups),
        "cgroup_entries": [str(entry) for entry in entries],
        "oom_file": None if oom_file is None else str(oom_file),
        "log_limit_bytes": log_limit_bytes,
    }


def fallback_rlimits(
    limits: Limits, confinement: Confinement, groups: CgroupDriver | None
) -> dict[str, int]:
    """Return resource limits for what no control group limits; each counts per process or user."""
    controls = frozenset() if groups is None else groups.controls
    rlimits = {"RLIMIT_CORE": 0}
    if "memory" not in controls and limits.memory_bytes is not None:
        rlimits["RLIMIT_DATA"] = limits.memory_bytes
    own_user = confinement.user_base is not None
    if "pids" not in controls and limits.pids is not None and own_user:
        rlimits["RLIMIT_NPROC"] = limits.pids
    return rlimits


def spawn(plan: dict[str, Any], folder: AttemptFolder) -> subprocess.Popen[bytes]:
    """Start the keeper in a session of its own; raises `OSError`. Blocks for moments."""
    plan_fd = os.memfd_create("plan", os.MFD_CLOEXEC)
    try:
        os.write(plan_fd, msgspec.json.encode(plan))
        os.lseek(plan_fd, 0, os.SEEK_SET)
        with (folder.path / "keeper.err").open("ab") as complaints:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(SHIM)],
                stdin=plan_fd,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                cwd="/",
                env={"LANG": "C.UTF-8"},
                start_new_session=True,
            )
    finally:
        os.close(plan_fd)


async def wait_gone(pid: int) -> None:
    """Return when the process has ended; at once if there is none."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
