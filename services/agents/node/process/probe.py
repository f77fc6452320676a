"""What isolation this host really gives: tried out at start, then said as it is."""

import os
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from services.agents.node.cgroups.driver import CgroupDriver, Limits
from services.agents.node.process.confine import Confinement, find_program
from services.agents.node.process.folder import AttemptFolder
from services.agents.node.runtime import KernelJob, KernelKey
from shared.contracts.agents import Enforcement

USER_BASE: Final = 620_000
USERS: Final = 60_000
NOBODY: Final = 65_534
PROBE_TIMEOUT_S: Final = 20
WORDS: Final[dict[tuple[str, Enforcement], str]] = {
    ("cpu", "not_enforced"): "Processor time is not limited: kernels take what they get.",
    ("memory", "best_effort"): "Memory is limited for each process, not for a kernel as a whole.",
    ("pids", "best_effort"): "Processes are limited for each kernel's user.",
    ("pids", "not_enforced"): "The number of processes is not limited.",
    ("user", "best_effort"): "Kernels share one user outside their sandbox.",
    ("user", "not_enforced"): "Kernels run as the user of the daemon.",
    ("network", "not_enforced"): "Kernels use this machine's own network.",
}
NO_SHARED_MEMORY: Final = "Shared memory is not limited by itself, only together with the memory."
NO_SUDO: Final = "Users with sudo get no root in their sessions here."
_PROBE: Final = "id -u; cat /proc/self/status; echo > probe"


def find_confinement(root: Path, *, sandbox: bool) -> tuple[Confinement, tuple[str, ...]]:
    """Return the strongest confinement that works here, and sentences about what does not.

    Blocks while it starts probes; `root` is where kernels will live.
    """
    found, notes = _find_sandbox(root, sandbox=sandbox)
    wanted = msgspec.structs.replace(found, unshare=find_program("unshare"), sudo=True)
    trouble = _try_out(wanted, root, sudo=True)
    if not trouble:
        return wanted, notes
    return found, (*notes, f"{NO_SUDO} ({trouble})")


def _find_sandbox(root: Path, *, sandbox: bool) -> tuple[Confinement, tuple[str, ...]]:
    is_root = os.geteuid() == 0
    base = _user_base() if is_root else None
    plain = Confinement(root=is_root, user_base=base)
    bwrap, setpriv = find_program("bwrap"), find_program("setpriv")
    if not sandbox:
        why = "The sandbox is switched off in this node's settings."
    elif bwrap is None:
        why = "bubblewrap is not installed; kernels see this machine's file system."
    elif is_root and setpriv is None:
        why = "setpriv is not installed; bubblewrap is not used without it."
    else:
        wanted = Confinement(
            root=is_root, user_base=base, bwrap=bwrap, setpriv=setpriv, sized=_can_size(bwrap)
        )
        trouble = _try_out(wanted, root, sudo=False)
        if not trouble:
            return wanted, ()
        why = f"bubblewrap does not work here and is not used: {trouble}"
    if base is not None and not all(one.stat().st_mode & 0o001 for one in (root, *root.parents)):
        return plain, (why, "Kernels cannot reach their home by its name, only as where they are.")
    return plain, (why,)


def _can_size(bwrap: str) -> bool:
    """Tell whether this bubblewrap makes memory file systems of a given size."""
    try:
        told = subprocess.run(
            [bwrap, "--help"], capture_output=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--size" in told.stdout + told.stderr


def _user_base() -> int:
    """Return the first user id for kernels: a range of their own where the host maps one."""
    for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
        first, _, count = (int(number) for number in line.split())
        if first <= USER_BASE and first + count >= USER_BASE + USERS:
            return USER_BASE
    return NOBODY


def _try_out(confinement: Confinement, root: Path, *, sudo: bool) -> str:
    key = KernelKey(".probe", os.getpid())
    folder = AttemptFolder(root, key)
    job = KernelJob(
        key=key,
        session_id="",
        image="",
        hostname="probe",
        argv=("/bin/sh", "-c", _PROBE),
        environ={},
        limits=Limits(),
        sudo=sudo,
    )
    folder.make(confinement.owner(job))
    try:
        return _run_probe(confinement, job, folder)
    finally:
        folder.remove()


def _run_probe(confinement: Confinement, job: KernelJob, folder: AttemptFolder) -> str:
    wrapped = confinement.wrap(job, folder)
    argv, status = wrapped.argv, wrapped.status_argument
    if status is not None:  # nobody listens for bubblewrap's news of itself
        argv = [*argv[: status - 1], *argv[status + 1 :]]
    try:
        answer = subprocess.run(
            argv,
            env=wrapped.environ,
            cwd=wrapped.cwd,
            user=wrapped.uid,
            group=wrapped.uid,
            extra_groups=None if wrapped.uid is None else (),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    told = answer.stdout.decode("utf-8", "replace")
    if answer.returncode != 0:
        return answer.stderr.decode("utf-8", "replace").strip()[:300]
    if job.sudo:
        return "" if told.startswith("0\n") else "the probe did not come out as root"
    owner = confinement.owner(job)
    wanted = 1000 if owner is None else owner
    if not told.startswith(f"{wanted}\n") or "NoNewPrivs:\t1" not in told:
        return "the probe did not come out as another user without new privileges"
    return ""


def state_isolation(
    confinement: Confinement, groups: CgroupDriver | None
) -> dict[str, Enforcement]:
    """Return how far each boundary holds on this host."""
    controls = frozenset() if groups is None else groups.controls
    boxed = confinement.bwrap is not None
    own_user = confinement.user_base == USER_BASE
    shared_user: Enforcement = "not_enforced" if confinement.user_base is None else "best_effort"
    pids_without: Enforcement = "best_effort" if own_user else "not_enforced"
    return {
        "cpu": "enforced" if "cpu" in controls else "not_enforced",
        "memory": "enforced" if "memory" in controls else "best_effort",
        "pids": "enforced" if "pids" in controls else pids_without,
        "filesystem": "enforced" if boxed else "not_enforced",
        "user": "enforced" if own_user else ("best_effort" if boxed else shared_user),
        "network": "not_enforced",
    }


def explain(isolation: dict[str, Enforcement]) -> tuple[str, ...]:
    """Return a sentence for each boundary that does not hold as one would expect."""
    return tuple(
        WORDS[boundary, level]
        for boundary, level in isolation.items()
        if (boundary, level) in WORDS
    )


def explain_shared_memory(confinement: Confinement) -> tuple[str, ...]:
    """Return a sentence where /dev/shm can't be held to what a session asks for."""
    return () if confinement.bwrap is not None and confinement.sized else (NO_SHARED_MEMORY,)
