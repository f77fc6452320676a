"""A process goes on after a crash at any point, and asks for everything exactly once."""

import asyncio
from typing import Any

import pytest

from shared.contracts.base import Actor, Rejected, Reply
from shared.contracts.users import LoginEnded, LogOut
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.records import Appended, Write
from shared.kernel.rejections import unavailable
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from tests.processes.conftest import OpenLog
from tests.processes.lives import (
    BACK,
    IN,
    META,
    OUT,
    Crash,
    CrashingLog,
    CrashPoints,
    Receiver,
    Service,
    ended_as,
    history,
    living,
    start,
)
from tests.processes.transfer import PATIENCE


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
