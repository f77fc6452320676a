"""Word from the kernel when something in a folder changes (inotify), without polling."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EAGAIN, EINVAL
from pathlib import Path
from typing import Final

IN_MODIFY: Final = 0x2
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
_MASK: Final = IN_MODIFY | IN_MOVED_TO | IN_CREATE
_HEAD: Final = struct.Struct("iIII")
_READ_BYTES: Final = 65_536
_libc: Final = ctypes.CDLL(None, use_errno=True)


class FolderChanges:
    """Tells waiters that a file in their folder was made, written or moved in."""

    def __init__(self) -> None:
        """Open the channel to the kernel; call within a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._fd: int = _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._waiters: dict[int, set[asyncio.Event]] = {}
        self._loop.add_reader(self._fd, self._read)

    @contextmanager
    def watch(self, folder: Path) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change from now on; the folder must exist."""
        descriptor = _check(_libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK))
        changed = asyncio.Event()
        waiters = self._waiters.setdefault(descriptor, set())
        waiters.add(changed)
        try:
            yield changed
        finally:
            waiters.discard(changed)
            if not waiters:
                self._waiters.pop(descriptor, None)
                self._forget(descriptor)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _forget(self, descriptor: int) -> None:
        # The kernel drops a watch by itself when its folder is deleted.
        if _libc.inotify_rm_watch(self._fd, descriptor) < 0 and ctypes.get_errno() != EINVAL:
            _check(-1)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError as error:
            if error.errno == EAGAIN:
                return
            raise
        at = 0
        while at < len(data):
            descriptor, _, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            # -1 says that the kernel's queue was full: something changed, so everybody looks.
            woken = [descriptor] if descriptor >= 0 else list(self._waiters)
            for one in woken:
                for changed in self._waiters.get(one, ()):
                    changed.set()


def _check(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
