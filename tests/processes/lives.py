"""A service that runs the transfer process, life after life, and whom it sends commands to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from shared.contracts.base import Accepted, Actor, Command, Meta, Rejected, Reply
from shared.contracts.users import DomainCreated
from shared.eventlog.log import EventLog
from shared.eventlog.records import Appended, CommandKey, Recorded, Write
from shared.kernel.rejections import conflict, unavailable
from shared.processes.events import ProcessAdvanced
from shared.processes.manager import RUNNING, ProcessManager
from shared.processes.process import command_id
from shared.processes.timers import TimerQueue
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from tests.processes.transfer import TRANSFER

META = Meta(actor=Actor(kind="user", id="u-1"), correlation_id="request-1")
OUT, IN, BACK = (command_id("transfer", "a", step) for step in ("take out", "put in", "put back"))


class Crash(Exception):  # noqa: N818  # what it stands for
    """The process is killed here."""


class CrashPoints:
    """Kills at the n-th dangerous moment; 0 never does."""

    def __init__(self, at: int = 0) -> None:
        self.passed = 0
        self._at = at

    def moment(self) -> None:
        self.passed += 1
        if self.passed == self._at:
            raise Crash


class CrashingLog(EventLog):
    """A log whose process may be killed just before and just after an append."""

    def __init__(self, log: EventLog, points: CrashPoints) -> None:
        super().__init__(log.pool, log.codec, log._clock)
        self._points = points

    async def append(self, *arguments: Any, **options: Any) -> Appended:
        self._points.moment()
        appended = await super().append(*arguments, **options)
        self._points.moment()
        return appended


class Receiver:
    """Services that do a command once for each idempotency key, and repeat the first answer."""

    def __init__(self, points: CrashPoints | None = None) -> None:
        self.points = points or CrashPoints()
        self.done: dict[str, tuple[str, Command, Reply]] = {}
        self.sent: list[tuple[str | None, Meta]] = []
        self.refuse: set[str] = set()
        self.silent = False

    async def send(
        self,
        command: Command,
        *,
        meta: Meta,
        idempotency: CommandKey | None = None,
        timeout_s: float = 1.0,
        command_id: str | None = None,
    ) -> Reply:
        self.points.moment()
        assert idempotency is not None
        assert command_id is not None
        self.sent.append((command_id, meta))
        if self.silent:
            return Rejected(rejection=unavailable("service_away", "Nobody is there."))
        digest, _command, reply = self.done.setdefault(
            command_id, (idempotency.digest, command, self._answer(command_id))
        )
        assert digest == idempotency.digest, "the same command must have the same digest"
        await asyncio.sleep(0)
        self.points.moment()
        return reply

    def _answer(self, identity: str) -> Reply:
        if identity in self.refuse:
            return Rejected(rejection=conflict("no", "No."))
        return Accepted(service="users", position=1)


class Service:
    """What a service that runs the process consists of, in one life."""

    def __init__(self, log: EventLog, receiver: Receiver, clock: FakeClock) -> None:
        self.log = log
        self.timers = TimerQueue(log.pool, clock)
        self.manager = ProcessManager(TRANSFER, log, receiver, self.timers, clock)

    async def live(self, inputs: Callable[["Service"], Awaitable[None]]) -> None:
        """Run, with `inputs` coming in; ends with the first thing that fails."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.manager.run())
            group.create_task(self.timers.run())
            group.create_task(inputs(self))


@asynccontextmanager
async def living(service: Service) -> AsyncIterator[Service]:
    async def nothing(_service: Service) -> None:
        return

    task = asyncio.create_task(service.live(nothing))
    try:
        yield service
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def start(log: EventLog, name: str = "a") -> Recorded:
    created = DomainCreated(name=name)
    return (await log.append([Write(f"domain-{name}", 0, [created])], META)).recorded[0]


async def history(log: EventLog) -> list[ProcessAdvanced]:
    return [e async for e in _advances(log)]


async def _advances(log: EventLog) -> AsyncIterator[ProcessAdvanced]:
    async for recorded in log.fold_all():
        if isinstance(recorded.event, ProcessAdvanced):
            yield recorded.event


async def ended_as(log: EventLog, stage: str) -> None:
    """Wait until the process has ended, and check that it has left nothing behind."""

    async def has_ended() -> bool:
        past = await history(log)
        return bool(past) and past[-1].is_done

    await eventually(has_ended)
    past = await history(log)
    assert past[-1].state["stage"] == stage
    assert len({advanced.input_id for advanced in past}) == len(past)
    assert await log.pool.fetchval("select count(*) from timers") == 0
    assert await log.owner_of(RUNNING, "transfer.a") is None
