"""How a kernel's command is wrapped: bubblewrap's view of the machine, and a user of its own."""

import shutil
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.agents.node.process.folder import AttemptFolder
from services.agents.node.runtime import KernelJob

HOME: Final = "/home/work"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER: Final = "work"
# A shell tells "not found" from "not allowed" as people know it: 127 and 126.
RUN: Final = ("/bin/sh", "-c", 'exec "$@"', "sh")
RUN_AT_HOME: Final = ("/bin/sh", "-c", 'cd "$HOME" && exec "$@"', "sh")
USERLAND: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
STATUS_PLACE: Final = "status-fd"
# Memory file systems of the kernel's own; what is written there counts as its memory.
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108  # a mount point, not a file
SCRATCH: Final = (SHARED_MEMORY, "/tmp", "/var/tmp")  # noqa: S108  # mount points, not files


class Wrapped(NamedTuple):
    """What the keeper executes, as whom and where; `status_argument` is filled in by it."""

    argv: list[str]
    environ: dict[str, str]
    cwd: str
    uid: int | None
    status_argument: int | None


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What this host allows. `bwrap`, `setpriv` and `unshare` are paths of programs.

    `sudo` says that a kernel may be root inside, `sized` that the sandbox can make memory file
    systems of a given size.

    With root rights the sandbox is set up by root and left for the kernel's own user through
    `setpriv`; without, bubblewrap sets it up in a user namespace. A kernel with sudo is root in a
    user namespace of its own; outside it is the same user as without.
    """

    root: bool
    user_base: int | None
    bwrap: str | None = None
    setpriv: str | None = None
    unshare: str | None = None
    sudo: bool = False
    sized: bool = False

    def owner(self, job: KernelJob) -> int | None:
        """Return the user and group id of the kernel, `None` for the daemon's own."""
        return None if self.user_base is None else self.user_base + job.user_index

    def wrap(self, job: KernelJob, folder: AttemptFolder) -> Wrapped:
        """Return what to execute for a job whose folder is made."""
        if self.bwrap is None:
            home = str(folder.work)
            environ = self._environ(job, home)
            argv = [*self._root_inside(job), *RUN, *job.argv]
            return Wrapped(argv, environ, home, self.owner(job), None)
        inner = [*self._become(job), *self._root_inside(job), *RUN_AT_HOME, *job.argv]
        options = self._view(job, folder)
        argv = [self.bwrap, "--json-status-fd", STATUS_PLACE, *options, "--", *inner]
        return Wrapped(argv, self._environ(job, HOME), "/", None, 2)

    @staticmethod
    def _environ(job: KernelJob, home: str) -> dict[str, str]:
        return {"PATH": PATH, "LANG": "C.UTF-8", **job.environ, "HOME": home, "USER": USER}

    def _become(self, job: KernelJob) -> list[str]:
        owner = self.owner(job)
        if not self.root or self.setpriv is None or owner is None:
            return []
        return [
            self.setpriv,
            f"--reuid={owner}",
            f"--regid={owner}",
            "--clear-groups",
            "--inh-caps=-all",
            "--ambient-caps=-all",
            "--bounding-set=-all",
            "--no-new-privs",
            "--",
        ]

    def _is_sudo(self, job: KernelJob) -> bool:
        return job.sudo and self.sudo

    def _root_inside(self, job: KernelJob) -> list[str]:
        by_bubblewrap = self.bwrap is not None and not self.root
        if not self._is_sudo(job) or self.unshare is None or by_bubblewrap:
            return []
        return [self.unshare, "--map-root-user", "--"]

    def _view(self, job: KernelJob, folder: AttemptFolder) -> list[str]:
        options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        options += ["--unshare-cgroup-try", "--hostname", job.hostname]
        if self.root:
            # Only what setpriv needs to become the kernel's user, which then has none of it.
            options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID"]
            options += ["--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
        else:
            number = "0" if self._is_sudo(job) else "1000"
            options += ["--unshare-user", "--uid", number, "--gid", number]
        options += ["--ro-bind", "/usr", "/usr", *_userland(), "--ro-bind", "/etc", "/etc"]
        options += ["--ro-bind-try", "/opt", "/opt"]
        options += ["--proc", "/proc", "--dev", "/dev"]
        for node in job.device_nodes:
            options += ["--dev-bind-try", node, node]
        options += ["--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--dir", "/var"]
        # The name servers' file is a link into /run on some hosts.
        options += ["--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"]
        for place in SCRATCH:
            options += ["--perms", "1777", *self._size_of(place, job), "--tmpfs", place]
        options += ["--perms", "0755", "--dir", "/home", "--bind", str(folder.work), HOME]
        options += ["--ro-bind", str(self._passwd(job, folder)), "/etc/passwd"]
        return options

    def _size_of(self, place: str, job: KernelJob) -> list[str]:
        size = job.shared_memory_bytes
        if place != SHARED_MEMORY or not size or not self.sized:
            return []
        return ["--size", str(size)]

    def _passwd(self, job: KernelJob, folder: AttemptFolder) -> Path:
        """Write a user list in which the kernel's user has a name."""
        owner = self.owner(job)
        number = 1000 if owner is None else owner
        entry = f"{USER}:x:{number}:{number}::{HOME}:/bin/sh"
        others = [
            line
            for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
            if not line.startswith(f"{USER}:") and line.split(":")[2:3] != [str(number)]
        ]
        path = folder.path / "passwd"
        path.write_text("\n".join([*others, entry, ""]), encoding="utf-8")
        path.chmod(0o644)
        return path


def _userland() -> list[str]:
    options: list[str] = []
    for name in USERLAND:
        path = Path(name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            options += ["--ro-bind", name, name]
    return options


def find_program(name: str) -> str | None:
    """Return the path of a program where it is installed."""
    return shutil.which(name, path=PATH)
