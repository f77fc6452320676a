"""A process goes on after a crash at any point, and asks for everything exactly once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from shared.contracts.base import Accepted, Actor, Command, Meta, Rejected, Reply
from shared.contracts.users import DomainCreated, LoginEnded, LogOut
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.records import Appended, CommandKey, Recorded, Write
from shared.kernel.rejections import conflict, unavailable
from shared.processes.events import ProcessAdvanced
from shared.processes.manager import RUNNING, ProcessManager
from shared.processes.process import command_id
from shared.processes.timers import TimerQueue
from shared.testing.clock import FakeClock
from tests.processes.conftest import OpenLog, eventually
from tests.processes.transfer import PATIENCE, TRANSFER

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
    async with asyncio.timeout(20):
        while not (past := await history(log)) or not past[-1].is_done:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
    assert past[-1].state["stage"] == stage
    assert len({advanced.input_id for advanced in past}) == len(past)
    assert await log.pool.fetchval("select count(*) from timers") == 0
    assert await log.owner_of(RUNNING, "transfer.a") is None


async def test_a_process_goes_through_its_steps(log: EventLog, fake_clock: FakeClock):
    receiver = Receiver()
    async with living(Service(log, receiver, fake_clock)) as service:
        await service.manager.take_event(await start(log))
        await ended_as(log, "transferred")
    assert list(receiver.done) == [OUT, IN]
    assert receiver.done[OUT][1] == LogOut(login_id="a out", user_id="a")


async def test_commands_carry_the_correlation_of_what_began_the_process(
    log: EventLog, fake_clock: FakeClock
):
    receiver = Receiver()
    async with living(Service(log, receiver, fake_clock)) as service:
        began = await start(log)
        await service.manager.take_event(began)
        await ended_as(log, "transferred")
    assert {meta.correlation_id for _id, meta in receiver.sent} == {"request-1"}
    assert [meta.causation_id for _id, meta in receiver.sent] == [
        began.event_id,
        "answer take out",
    ]
    async for recorded in log.fold_all(after=1):
        assert recorded.meta.correlation_id == "request-1"
        assert recorded.meta.actor == Actor(kind="service", id="users")


async def test_a_refused_step_is_undone(log: EventLog, fake_clock: FakeClock):
    receiver = Receiver()
    receiver.refuse = {IN}
    async with living(Service(log, receiver, fake_clock)) as service:
        await service.manager.take_event(await start(log))
        await ended_as(log, "undone")
    assert list(receiver.done) == [OUT, IN, BACK]


MOMENTS = 12  # two around each append and each send of an undone transfer, and some to spare


@pytest.mark.parametrize("moment", range(1, MOMENTS + 3))
async def test_a_crash_at_any_moment_changes_nothing_in_the_end(
    open_log: OpenLog, fake_clock: FakeClock, moment: int
):
    first = await open_log()
    began = await start(first)
    points = CrashPoints(moment)
    receiver = Receiver(points)
    receiver.refuse = {IN}

    async def come_in(service: Service) -> None:
        for _twice in range(2):  # every event may come again, also after each restart
            await service.manager.take_event(began)

    async def end(service: Service) -> None:
        await come_in(service)
        await ended_as(first, "undone")
        raise Crash

    for _life in range(3):
        log = CrashingLog(await open_log(), points)
        with pytest.raises(ExceptionGroup):
            await Service(log, receiver, fake_clock).live(end)
    assert list(receiver.done) == [OUT, IN, BACK]
    assert [advanced.answered for advanced in await history(first)] == [
        None,
        "take out",
        "put in",
        "put back",
    ]
    assert points.passed >= MOMENTS


async def test_a_service_that_is_away_is_asked_again_under_the_same_id(
    log: EventLog, fake_clock: FakeClock
):
    receiver = Receiver()
    receiver.silent = True
    async with living(Service(log, receiver, fake_clock)) as service:
        await service.manager.take_event(await start(log))
        await eventually(lambda: len(receiver.sent) >= 2)
        assert not receiver.done
        receiver.silent = False
        await ended_as(log, "transferred")
    assert {identity for identity, _meta in receiver.sent} == {OUT, IN}


async def test_a_service_that_stays_away_counts_as_refusing_in_the_end(
    log: EventLog, fake_clock: FakeClock
):
    receiver = Receiver()
    receiver.silent = True
    async with living(Service(log, receiver, fake_clock)) as service:
        await service.manager.take_event(await start(log))
        fake_clock.advance(2 * 3600)
        await ended_as(log, "refused")
    assert not receiver.done


async def test_an_alarm_comes_back_to_its_process_after_a_restart(
    open_log: OpenLog, fake_clock: FakeClock
):
    log = await open_log()
    receiver = Receiver()
    async with living(Service(log, receiver, fake_clock)) as service:
        hold = asyncio.Event()
        answer = receiver._answer

        def silent_on_put_in(identity: str) -> Reply:
            if identity == IN:
                hold.set()
                return Rejected(rejection=unavailable("service_away", "Nobody is there."))
            return answer(identity)

        receiver._answer = silent_on_put_in  # type: ignore[method-assign]  # one step stays open
        await service.manager.take_event(await start(log))
        await hold.wait()
    fake_clock.advance(PATIENCE.total_seconds())
    async with living(Service(await open_log(), receiver, fake_clock)):
        await ended_as(log, "undone")
    assert set(receiver.done) == {OUT, IN, BACK}


async def test_an_event_of_no_interest_leaves_no_trace(log: EventLog, fake_clock: FakeClock):
    ended = LoginEnded(login_id="l", user_id="a", reason="logout")
    appended = await log.append([Write("login-l", 0, [ended])], META)
    async with living(Service(log, Receiver(), fake_clock)) as service:
        await service.manager.take_event(appended.recorded[0])
    assert await history(log) == []


async def test_what_is_requested_before_the_manager_runs_is_sent_when_it_does(
    log: EventLog, fake_clock: FakeClock
):
    receiver = Receiver()
    service = Service(log, receiver, fake_clock)
    await service.manager.take_event(await start(log))
    assert receiver.sent == []
    async with living(service):
        await ended_as(log, "transferred")


async def test_a_log_that_is_away_holds_an_answer_up_but_does_not_lose_it(
    log: EventLog, fake_clock: FakeClock
):
    class Unsteady(EventLog):
        away = 0

        async def append(self, *arguments: Any, **options: Any) -> Appended:
            if self.away > 0:
                self.away -= 1
                raise LogUnavailable("away")
            return await super().append(*arguments, **options)

    unsteady = Unsteady(log.pool, log.codec, fake_clock)
    receiver = Receiver()
    service = Service(unsteady, receiver, fake_clock)
    await service.manager.take_event(await start(log))
    unsteady.away = 3
    async with living(service):
        await ended_as(log, "transferred")
    assert list(receiver.done) == [OUT, IN]
