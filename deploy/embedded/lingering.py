"""What a killed server left behind: processes that still hold its directory."""

import asyncio
import os
import select
import signal
from pathlib import Path
from typing import Final

GRACE_S: Final = 10.0
_PID_FILE: Final = "postmaster.pid"


async def settle(cluster: Path) -> None:
    """End every process that still works in the directory `cluster`, then clear its stale lock.

    A server whose supervisor died is stopped in the fast way; what does not end in time is killed.
    The lock file is removed only when the process it names is none of these: its number was
    given to a stranger, whom Postgres would take for itself.
    """
    for number in (signal.SIGINT, signal.SIGKILL):
        holders = await asyncio.to_thread(processes_in, cluster)
        if not holders:
            break
        await asyncio.gather(*(_end(pid, number) for pid in holders))
    await asyncio.to_thread(_clear_lock, cluster / _PID_FILE)


def _clear_lock(lock: Path) -> None:
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return
    if Path(f"/proc/{pid}").exists():
        lock.unlink()


def processes_in(directory: Path) -> list[int]:
    """Return the processes whose working directory is `directory`."""
    wanted = directory.resolve()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == wanted:
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is another user's and so no server of ours
    return found


async def _end(pid: int, number: signal.Signals) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, number)
        # readable when the process has ended
        await asyncio.to_thread(select.select, [handle], [], [], GRACE_S)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
