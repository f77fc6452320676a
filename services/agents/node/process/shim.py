"""The keeper of one kernel: starts its command at most once, keeps its log, writes its end.

Runs by path under `python -I -S` with nothing but the standard library, in a session of its own,
and outlives the daemon. It reads its plan (see `launch.py`) from standard input. Whoever holds
the POSIX lock on the attempt's `lock` file is its keeper; the daemon asks the kernel who that is.

Exit codes: 0 the command was kept to its end, 3 refused (another launch is permitted, or the
attempt has started before), 4 the plan could not be read.
"""
# pathlib would double the time that this takes to start:
# ruff: noqa: PTH104, PTH110, PTH123

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

REFUSED = 3
UNREADABLE = 4
LOCK_PATIENCE_S = 30
READ_BYTES = 65_536
RECORD_BYTES = 4_096
PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CAPABILITIES = 64
_libc = ctypes.CDLL(None, use_errno=True)


def reserve_record(folder: str, name: str) -> int:
    """Take the disk space of a record in advance, so that a full disk cannot keep it out."""
    fd = os.open(f"{folder}/.{name}.draft", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, b" " * RECORD_BYTES)
    os.fsync(fd)
    return fd


def publish_record(folder: str, name: str, fd: int, record: dict[str, Any]) -> None:
    """Make a reserved record appear whole or not at all, also after a power cut."""
    os.pwrite(fd, json.dumps(record).encode()[:RECORD_BYTES], 0)
    os.fsync(fd)
    os.close(fd)
    os.rename(f"{folder}/.{name}.draft", f"{folder}/{name}")
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def hold_lock(folder: str) -> None:
    """Become the keeper, or end after a bounded wait: a daemon holds the lock for moments."""
    fd = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(REFUSED))
    signal.alarm(LOCK_PATIENCE_S)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    signal.alarm(0)


def permitted(folder: str, launch: int) -> bool:
    """Tell whether this launch is the one that is permitted and nothing has started before."""
    if os.path.exists(f"{folder}/started.json") or os.path.exists(f"{folder}/exit.json"):
        return False
    try:
        with open(f"{folder}/permit", encoding="ascii") as file:
            return file.read().strip() == str(launch)
    except FileNotFoundError:
        return False


def become_command(plan: dict[str, Any], go: int, log: int, keeper: int) -> NoReturn:
    """Turn the forked child into the command once the keeper has given the word."""
    if os.read(go, 1) != b"g":
        os._exit(REFUSED)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    prefer_as_victim(plan["oom_score_adj"])
    for name, ceiling in plan["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (ceiling, ceiling))
    os.umask(0o022)
    os.chdir(plan["cwd"])
    drop_privileges(plan)
    # The command must not outlive its keeper: nobody would write its end.
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(REFUSED)
    os.execve(plan["argv"][0], plan["argv"], plan["environ"])  # noqa: S606  # no shell: as asked


def prefer_as_victim(score: int) -> None:
    """Let a machine short of memory kill kernels before anything of the control plane."""
    with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
        if int(file.read()) < score:
            file.seek(0)
            file.write(str(score))


def drop_privileges(plan: dict[str, Any]) -> None:
    """Become the kernel's own user where the plan names one, never to gain anything again."""
    if plan["uid"] is not None:
        for capability in range(CAPABILITIES):
            _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setgid(plan["gid"])
        os.setuid(plan["uid"])
    if plan["no_new_privileges"]:
        _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def fork_command(plan: dict[str, Any], log: int) -> tuple[int, int, int]:
    """Fork the child that waits for the word; return its id, the word's and the error's pipe."""
    go_in, go_out = os.pipe()
    error_in, error_out = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        os.close(go_in)
        os.close(error_out)
        return pid, go_out, error_in
    try:
        os.close(go_out)
        become_command(plan, go_in, log, keeper)
    except (OSError, ValueError) as error:
        os.write(error_out, str(error).encode()[:1000])
    finally:
        os._exit(127)


class Log:
    """The kernel's log: everything up to its bound, then an honest word about the rest."""

    def __init__(self, path: str, limit_bytes: int) -> None:
        """Append to `path`; `limit_bytes` bounds what the command may write to it."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = limit_bytes
        self._limit = limit_bytes
        self.dropped = 0

    def write(self, data: bytes) -> None:
        """Write what fits; drop and count what does not."""
        kept, lost = data[: self._left], max(0, len(data) - self._left)
        self._left -= len(kept)
        if lost and not self.dropped:
            kept += b"\n[quartermaster: the log has reached its limit of %d bytes;" % self._limit
            kept += b" what comes after it is not kept]\n"
        self.dropped += lost
        try:
            while kept:
                kept = kept[os.write(self._fd, kept) :]
        except OSError:
            # A full disk costs the log, not the command; the loss is told at the end.
            self.dropped += len(kept)

    def close(self) -> None:
        """Say how much was lost, where there is room to say it."""
        if self.dropped:
            self.write_notice(b"\n[quartermaster: %d bytes of output are lost]\n" % self.dropped)
        os.close(self._fd)

    def write_notice(self, notice: bytes) -> None:
        """Write past the bound; the end record tells the loss where the disk has no room."""
        try:
            os.write(self._fd, notice)
        except OSError as error:
            sys.stderr.write(f"the log's last words were lost: {error}\n")


def pump(pid: int, output: int, log: Log) -> int:
    """Copy the command's output into the log until the command ends; return its wait status."""
    watch = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(watch, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if watch in ready:
            return os.waitpid(pid, 0)[1]
        data = os.read(output, READ_BYTES)
        log.write(data)
        if not data:
            poll.unregister(output)


def read_rest(fd: int) -> bytes:
    """Take what is in a pipe without waiting for whoever may hold it open."""
    os.set_blocking(fd, False)
    parts = []
    try:
        while part := os.read(fd, READ_BYTES):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts)


def end_descendants() -> None:
    """Kill and reap what the command left behind; this process is their reaper."""
    children = f"/proc/self/task/{os.getpid()}/children"
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        with open(children, encoding="ascii") as file:
            for child in file.read().split():
                os.kill(int(child), signal.SIGKILL)
        os.waitpid(-1, 0)


def read_text(path: str | None) -> str:
    """Return a small control file, empty where there is none."""
    if path is None:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            return file.read(RECORD_BYTES // 4)
    except OSError:
        return ""


def enter_groups(pid: int, entries: list[str]) -> str:
    """Put the waiting child into its control groups; return what went wrong."""
    try:
        for entry in entries:
            with open(entry, "w", encoding="ascii") as file:
                file.write(str(pid))
    except OSError as error:
        return f"The control group could not be entered: {error}"
    return ""


def keep(plan: dict[str, Any]) -> None:
    """Start the command and stay with it to its end."""
    folder = plan["folder"]
    started, ended = reserve_record(folder, "started.json"), reserve_record(folder, "exit.json")
    output, log_in = os.pipe()
    status_in, status_out = os.pipe()
    if plan["status_argument"] is not None:
        os.set_inheritable(status_out, True)  # noqa: FBT003  # takes no keyword
        plan["argv"][plan["status_argument"]] = str(status_out)
    pid, go, error_in = fork_command(plan, log_in)
    os.close(log_in)
    os.close(status_out)
    error = enter_groups(pid, plan["cgroup_entries"])
    # From here on the attempt counts as having run, whatever happens.
    boxed = plan["status_argument"] is not None
    begun = {"keeper": os.getpid(), "child": pid, "at": time.time(), "sandboxed": boxed}
    publish_record(folder, "started.json", started, begun)
    if not error:
        os.write(go, b"g")
    os.close(go)
    error = error or os.read(error_in, 1024).decode("utf-8", "replace")
    log = Log(f"{folder}/log", plan["log_limit_bytes"])
    status = pump(pid, output, log)
    end_descendants()
    log.write(read_rest(output))
    log.close()
    record = {
        "wait_status": status,
        "at": time.time(),
        "error": error,
        "sandboxed": boxed,
        "sandbox": read_rest(status_in).decode("utf-8", "replace")[:1024],
        "memory_events": read_text(plan["oom_file"]),
        "log_dropped_bytes": log.dropped,
    }
    publish_record(folder, "exit.json", ended, record)


def main() -> int:
    """Read the plan, become the keeper, keep."""
    try:
        plan = json.loads(sys.stdin.buffer.read())
        folder, launch = plan["folder"], plan["launch"]
    except (ValueError, KeyError):
        return UNREADABLE
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hold_lock(folder)
    if not permitted(folder, launch):
        return REFUSED
    keep(plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
