"""A machine on which a daemon may die at any step: real journal, real worker, pretended processes.

Keepers follow the same protocol as `process/shim.py`, and start as late as the schedule says: also
after the daemon that launched them has died and another one has come.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from services.agents.node.cgroups.driver import Usage
from services.agents.node.domain.evidence import judge
from services.agents.node.journal import Journal
from services.agents.node.runtime import (
    Exit,
    ImageNotAvailableError,
    KernelJob,
    KernelKey,
    LocalImage,
    Observation,
    Presence,
    RuntimeProfile,
)
from shared.testing.clock import START

T = TypeVar("T")


class Crash(Exception):  # noqa: N818  # it is what happens
    """The daemon has been killed here."""


class Host:
    """What outlives a daemon. `crashes` are numbers of steps until the next kill."""

    def __init__(self, crashes: Sequence[int], delays: Sequence[bool]) -> None:
        self.permit: int | None = None
        self.late: list[int] = []
        self.own: set[int] = set()
        self.started = False
        self.ended = False
        self.alive = False
        self.runs = 0
        self.images = {"local/host:latest": ""}
        self.registry: dict[str, str] = {}
        self.fetches = 0
        self._crashes: Iterator[int] = iter(crashes)
        self._delays: Iterator[bool] = iter(delays)
        self._left = next(self._crashes, None)

    def step(self) -> None:
        """Pass a point at which the daemon may die."""
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._left = next(self._crashes, None)
            self.own.clear()
            raise Crash

    def spawn(self, launch: int) -> None:
        self.late.append(launch)
        self.own.add(launch)
        if not next(self._delays, False):
            self.let_keeper_go()

    def let_keeper_go(self) -> None:
        """Let the oldest waiting keeper take the lock and look whether it may start."""
        launch = self.late.pop(0)
        self.own.discard(launch)
        if not self.alive and not self.started and self.permit == launch:
            self.started = self.alive = True
            self.runs += 1

    def end_command(self) -> None:
        self.alive = False
        self.ended = True


class SimulatedRuntime:
    """Implements `Runtime` on a `Host`; before and after each effect the daemon may die."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def open(self) -> RuntimeProfile:
        return RuntimeProfile(name="simulated", images=(), isolation={}, notes=())

    async def find_image(self, image: str) -> LocalImage | None:
        self._host.step()
        digest = self._host.images.get(image)
        return None if digest is None else LocalImage(digest=digest)

    async def fetch_image(self, image: str) -> None:
        self._host.step()
        if image not in self._host.registry:
            raise ImageNotAvailableError("the registry does not have it.")
        self._host.images[image] = self._host.registry[image]
        self._host.fetches += 1
        self._host.step()

    async def prepare(self, job: KernelJob) -> None:
        self._host.step()

    async def start(self, job: KernelJob, launch: int) -> None:
        self._host.step()
        if not self._allow(launch):
            return
        self._host.step()
        self._host.spawn(launch)
        self._host.step()

    def _allow(self, launch: int | None) -> bool:
        if self._host.alive or self._host.started:
            return False
        self._host.permit = launch
        return True

    async def forbid(self, key: KernelKey) -> bool:
        self._host.step()
        done = self._allow(None)
        self._host.step()
        return done

    async def inspect(self, key: KernelKey) -> Observation:
        self._host.step()
        host = self._host
        presence = judge(
            keeper=host.alive, spawned=bool(host.own), started=host.started, ended=host.ended
        )
        exit_ = Exit(code=0, at=START) if host.ended else None
        return Observation(presence=presence, started_at=START, exit=exit_)

    async def wait_change(self, key: KernelKey, seen: Presence) -> Observation:
        while True:
            now = await self.inspect(key)
            if now.presence != seen:
                return now
            if seen == "starting":
                self._host.let_keeper_go()
            else:
                self._host.end_command()

    async def stop(self, key: KernelKey, *, force: bool) -> None:
        self._host.step()
        if self._host.alive:
            self._host.end_command()
        self._host.step()

    async def collect(self, key: KernelKey) -> None:
        self._host.step()

    async def trim(self, key: KernelKey) -> None:
        self._host.step()

    async def remove(self, key: KernelKey) -> None:
        self._host.step()

    def usage(self, key: KernelKey) -> Usage:
        return Usage()

    async def leftovers(self, known: Sequence[KernelKey]) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


class CrashingJournal(Journal):
    """The real journal; the daemon may die before a change or right after it."""

    def __init__(self, path: Path, host: Host) -> None:
        super().__init__(path)
        self._host = host

    async def _change(self, work: Callable[..., T]) -> T:
        self._host.step()
        done = await super()._change(work)
        self._host.step()
        return done
