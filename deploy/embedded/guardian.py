"""Keeps one process running: waits until it is ready, starts it again when it dies."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from deploy.embedded.child import Child, ChildError, describe_exit
from deploy.embedded.state import ProcessStatus, StateFile
from deploy.embedded.terminal import complain

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 15.0
STEADY_AFTER_S: Final = 20.0
READY_TIMEOUT_S: Final = 60.0


class Startable(Protocol):
    """A part that can be started, as often as need be; `child` is its newest process."""

    @property
    def child(self) -> Child | None:
        """The process of the newest start, if any."""
        ...

    async def start(self) -> None:
        """Start the process without waiting for more than its existence if `ready` does that."""
        ...

    async def stop(self) -> None:
        """Stop it; nothing when it does not run."""
        ...


class Guardian:
    """One part's life: `run()` ends only when it is cancelled.

    A process that ends is started again after a pause that doubles up to 15 s and is jittered;
    one that has run for 20 s begins anew with the shortest pause.
    """

    def __init__(
        self,
        name: str,
        part: Startable,
        state: StateFile,
        *,
        ready: Callable[[], Awaitable[bool]] | None = None,
        http_port: int | None = None,
    ) -> None:
        self.name = name
        self.first_ready = asyncio.Event()
        self._part = part
        self._ready = ready
        self._state = state
        self._failures = 0
        self._status = ProcessStatus(http_port=http_port)
        state.processes[name] = self._status

    @property
    def has_process(self) -> bool:
        """Whether there is a process, ready or not."""
        return self._status.pid is not None

    async def run(self) -> None:
        """Keep it running."""
        clock = asyncio.get_running_loop().time
        while True:
            begun = clock()
            how = await self._one_life()
            self._failures = 0 if clock() - begun > STEADY_AFTER_S else self._failures + 1
            pause_s = self.pause_s(self._failures)
            complain(f"{self.name} {how}; it is started again in {pause_s:.1f} s.")
            if self._failures in {2, 8}:  # once more when it goes on for minutes
                self._show_last_lines()
            self._update("restarting", how)
            await asyncio.sleep(pause_s)
            self._status.restarts += 1

    @staticmethod
    def pause_s(failures: int) -> float:
        """Return how long to wait after so many deaths in a row, with jitter."""
        doubled = FIRST_PAUSE_S * 2.0 ** min(max(failures - 1, 0), 10)
        return min(doubled, LONGEST_PAUSE_S) * random.uniform(0.75, 1.25)  # noqa: S311  # jitter

    async def _one_life(self) -> str:
        """Start it and wait for its end; return how it ended in words."""
        self._update("starting")
        try:
            await self._part.start()
        except (ChildError, OSError) as error:
            return f"did not start: {error}"
        child = self._part.child
        if child is None:
            return "did not start"
        self._status.pid = child.pid
        self._state.changed()
        readiness = asyncio.create_task(self._announce())
        try:
            status = await child.wait()
        finally:
            readiness.cancel()
        return f"ended with {describe_exit(status)}"

    async def _announce(self) -> None:
        if self._ready is not None and not await self._ready():
            complain(f"{self.name} runs but is not ready after {READY_TIMEOUT_S:g} s.")
            self._show_last_lines()
            while not await self._ready():
                complain(f"{self.name} is still not ready.")
        self._update("running")
        self.first_ready.set()

    def _update(self, state: str, last_exit: str | None = None) -> None:
        self._status.state = state  # type: ignore[assignment]  # only words of ProcessState
        if state == "restarting":
            self._status.pid = None
        if last_exit is not None:
            self._status.last_exit = last_exit.split("\n", 1)[0]
        self._state.changed()

    def _show_last_lines(self, count: int = 12) -> None:
        child = self._part.child
        for line in list(child.last_lines)[-count:] if child else []:
            complain(f"  {self.name}: {line[:400]}")

    async def stop(self) -> None:
        """Stop the process; `run` must have been cancelled."""
        self._update("stopping")
        await self._part.stop()
        self._status.pid = None
        self._update("stopped")

    def kill(self) -> None:
        """Kill the process at once; nothing when it does not run."""
        if self._part.child is not None:
            self._part.child.kill()
