"""A program that we start: it dies with us, its output is kept, its end is awaited."""

import asyncio
import ctypes
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from deploy.embedded.account import Account

PR_SET_PDEATHSIG: Final = 1
KEPT_LINES: Final = 40
LINE_LIMIT_BYTES: Final = 1 << 18
CHUNK_BYTES: Final = 1 << 16
_PRCTL: Final = ctypes.CDLL(None, use_errno=True).prctl


class ChildError(Exception):
    """A program did not come up; the text holds the last lines that it wrote."""


class Output(Protocol):
    """Where a child's lines go."""

    def write(self, line: bytes) -> None:
        """Take one line with its line end."""
        ...


@dataclass(frozen=True)
class Program:
    """What to start. `death_signal` is sent to it by the kernel when we die ourselves."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """One run of a program."""

    def __init__(self, program: Program, output: Output | None = None) -> None:
        self.program = program
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Future[int] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._rest = b""
        self._watches: list[tuple[re.Pattern[bytes], asyncio.Future[bytes]]] = []

    @property
    def pid(self) -> int:
        """The process id; the process may have ended."""
        if self._process is None:
            message = f"{self.program.name} was not started"
            raise ChildError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not been seen to end."""
        return self._ended is not None and not self._ended.done()

    def start(self) -> None:
        """Start the program; OSError when it cannot be executed."""
        program = self.program
        loop = asyncio.get_running_loop()
        self._process = process = subprocess.Popen(
            program.argv,
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A Ctrl-C at the terminal is ours to pass on, in order. The session stays ours: Linux
            # shares out processors by session first, and a priority counts only within one.
            process_group=0,
            preexec_fn=_become(program, os.getpid()),  # noqa: PLW1509  # we fork from one thread
        )
        self._ended, self._drained = loop.create_future(), loop.create_future()
        # not asyncio's own subprocess: that one waits until every heir of the pipe has ended too
        loop.add_reader(handle := os.pidfd_open(process.pid), self._on_end, loop, handle)
        assert process.stdout is not None  # noqa: S101  # asked for a pipe
        os.set_blocking(process.stdout.fileno(), False)
        loop.add_reader(process.stdout.fileno(), self._on_output, process.stdout.fileno())

    def _on_end(self, loop: asyncio.AbstractEventLoop, handle: int) -> None:
        loop.remove_reader(handle)
        os.close(handle)
        if self._process is not None and self._ended is not None and not self._ended.done():
            self._ended.set_result(self._process.wait())

    def _on_output(self, pipe: int) -> None:
        try:
            part = os.read(pipe, CHUNK_BYTES)
        except BlockingIOError:
            return
        *lines, rest = (self._rest + part).split(b"\n")
        for line in lines:
            self._take(line + b"\n")
        if len(rest) > LINE_LIMIT_BYTES or (rest and not part):  # too long, or the last one
            self._take(rest + b"\n")
            rest = b""
        self._rest = rest
        if not part:
            self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process is None or self._process.stdout is None or self._process.stdout.closed:
            return
        asyncio.get_running_loop().remove_reader(self._process.stdout.fileno())
        self._process.stdout.close()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _take(self, line: bytes) -> None:
        self.last_lines.append(line.decode(errors="replace").rstrip())
        if self._output is not None:
            self._output.write(line)
        for pattern, seen in self._watches:
            if not seen.done() and pattern.search(line):
                seen.set_result(line)

    def watch(self, pattern: bytes) -> "asyncio.Future[bytes]":
        """Return a future of the first coming line that matches `pattern`."""
        seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._watches.append((re.compile(pattern), seen))
        return seen

    async def until(self, ready: "asyncio.Future[bytes]", timeout_s: float) -> bytes:
        """Wait for a watched line; ChildError when the program ends or is too slow first."""
        ended = asyncio.create_task(self.wait())
        either: set[asyncio.Future[Any]] = {ready, ended}
        try:
            await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return ready.result()
            if ended.done():
                raise ChildError(self._report(f"ended with {describe_exit(ended.result())}"))
            raise ChildError(self._report(f"was not ready after {timeout_s:g} s"))
        finally:
            ended.cancel()

    def _report(self, what: str) -> str:
        lines = "\n".join(f"    {line}" for line in list(self.last_lines)[-15:])
        return f"{self.program.name} {what}" + (f"; its last lines:\n{lines}" if lines else "")

    async def wait(self) -> int:
        """Wait for the end and for all of its output; return the exit status (negative: signal)."""
        if self._ended is None or self._drained is None:
            message = f"{self.program.name} was not started"
            raise ChildError(message)
        status = await asyncio.shield(self._ended)
        # a grandchild may hold the pipe open: what is left then is not waited for long
        await asyncio.wait({self._drained}, timeout=0.5)
        self._close_pipe()
        return status

    async def stop(self, timeout_s: float = 10.0) -> int | None:
        """Ask it to end, kill it after `timeout_s`; return its status, None if never started."""
        if self._ended is None:
            return None
        self._signal(self.program.stop_signal)
        await asyncio.wait({self._ended}, timeout=timeout_s)
        self._signal(signal.SIGKILL)
        return await self.wait()

    def kill(self) -> None:
        """Kill it at once; nothing when it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)


def describe_exit(status: int) -> str:
    """Say an exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal {signal.Signals(-status).name}"


def _become(program: Program, parent_pid: int) -> Callable[[], None]:
    """Return what runs in the new process before the program: only system calls, no locks."""
    account, death_signal = program.account, int(program.death_signal)

    def become() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            os.umask(0o077)
        # after the change of user, which would clear it
        _PRCTL(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent_pid:  # we died in between: nobody would tell it any more
            os._exit(1)

    return become
