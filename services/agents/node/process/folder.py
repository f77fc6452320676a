"""The traces of one attempt on disk, and the lock that tells who keeps it.

`<root>/<kernel>/<attempt>/`: `permit` (the launch that may run), `lock`, `started.json`,
`exit.json`, `log`, `keeper.err` (the keeper's own troubles), `work/` (the kernel's home).
"""

import fcntl
import os
import shutil
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from services.agents.node.runtime import Exit, KernelKey

_FLOCK: Final = "hhqqi4x"
_WRITE_ALL: Final = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Started(NamedTuple):
    """Who keeps the attempt, the keeper's child, when it began, and whether in a sandbox."""

    keeper: int
    child: int
    at: datetime
    sandboxed: bool


class AttemptFolder:
    """The folder of one (kernel, attempt). Its methods block on the disk."""

    def __init__(self, root: Path, key: KernelKey) -> None:
        """Name the folder below `root`; nothing is made yet."""
        self.path = root / key.kernel_id / str(key.attempt)
        self.work = self.path / "work"
        self.log = self.path / "log"

    def make(self, owner: int | None) -> None:
        """Make the folder and the work folder, which `owner` (user and group id) gets."""
        self.work.mkdir(parents=True, exist_ok=True)
        if owner is not None:
            os.chown(self.work, owner, owner)
        self.work.chmod(0o700)
        # The log exists from the start, so that it can be followed before the first byte.
        self.log.touch(mode=0o600)

    def exists(self) -> bool:
        """Tell whether there are any traces."""
        return self.path.is_dir()

    def keeper(self) -> int | None:
        """Return the process id of the living keeper, asked of the kernel's lock table."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WRITE_ALL)
        finally:
            os.close(fd)
        kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
        return None if kind == fcntl.F_UNLCK or pid <= 0 else int(pid)

    def permit(self, launch: int | None) -> bool:
        """Let only `launch` run from now on (`None`: no launch at all).

        Returns false, and changes nothing, where a keeper is alive or the attempt has begun.
        The lock makes this and a late keeper's look at the permit exclude each other.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WRITE_ALL)
            except (BlockingIOError, PermissionError):
                return False
            if self.started() is not None or self.ended() is not None:
                return False
            self._write_permit("none" if launch is None else str(launch))
            return True
        finally:
            os.close(fd)

    def _write_permit(self, text: str) -> None:
        draft = self.path / ".permit.draft"
        with draft.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.path / "permit")
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def started(self) -> Started | None:
        """Return the record that the keeper wrote before it let the command begin."""
        record = self._record("started.json")
        if record is None:
            return None
        at = _moment(record["at"])
        return Started(record["keeper"], record["child"], at, record["sandboxed"])

    def ended(self) -> Exit | None:
        """Return how the command ended, as its keeper wrote it."""
        record = self._record("exit.json")
        return None if record is None else read_exit(record)

    def _record(self, name: str) -> dict[str, Any] | None:
        try:
            data = (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        decoded: dict[str, Any] = msgspec.json.decode(data)
        return decoded

    def remove(self) -> None:
        """Delete everything, and the kernel's folder with its last attempt."""
        if self.path.is_dir():
            shutil.rmtree(self.path)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def remove_work(self) -> None:
        """Delete the work folder only; the log stays."""
        if self.work.is_dir():
            shutil.rmtree(self.work)


def read_exit(record: dict[str, Any]) -> Exit:
    """Return the meaning of a keeper's end record: exit code by the shell's convention."""
    status: int = record["wait_status"]
    by_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    code: int | None = 128 + by_signal if by_signal is not None else os.WEXITSTATUS(status)
    error: str = record["error"]
    if record["sandboxed"] and not error and by_signal is None and not _began(record["sandbox"]):
        error = "The sandbox could not be set up; the kernel's log tells why."
    dropped: int = record["log_dropped_bytes"]
    return Exit(
        code=None if error else code,
        at=_moment(record["at"]),
        oom_kills=_oom_kills(record["memory_events"]),
        error=error,
        notes=(f"{dropped} bytes of output are not in the log",) if dropped else (),
    )


def _began(told: str) -> bool:
    # bubblewrap tells an exit code only if it got as far as running the command.
    return '"exit-code"' in told


def _oom_kills(events: str) -> int:
    for line in events.splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill":
            return int(number)
    return 0


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
