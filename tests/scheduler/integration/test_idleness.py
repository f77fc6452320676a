"""Idle sessions: a clock that stands still, then the service with telemetry and settings."""

import asyncio
from datetime import UTC, datetime

import pytest_asyncio

from services.scheduler.agenda import Agenda
from services.scheduler.domain.deadlines import Lifetime
from services.scheduler.domain.idleness import IdleRules
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.remaining import checks_of
from shared.contracts.activity import SessionActivity
from shared.contracts.kernels import KernelUsage
from shared.contracts.policies import SettingChanged, SettingReset
from shared.contracts.scheduler import GetSessionChecks, SessionChecks
from shared.contracts.subjects import session_activity_subject
from shared.messaging import telemetry
from shared.testing.clock import FakeClock
from tests.scheduler.integration.harness import WAIT_S
from tests.scheduler.integration.test_limits import Owner
from tests.scheduler.integration.timed import Timed

SCOPE = keypair_scope("AK")


class Idle(Timed):
    """A leader with sessions that may be idle."""

    @property
    def agenda(self):
        return self.writer.books.agenda

    async def run(self, name, session_type="interactive", **more):
        await self.enqueue(name, access_key="AK", session_type=session_type, **more)
        await self.seen(name, "running")

    def use(self, name, *, open_streams=0):
        session = self.writer.books.sessions[name]
        self.agenda.idle.used(session, self.clock.now(), open_streams=open_streams)

    def measure(self, name, percent):
        session = self.writer.books.sessions[name]
        kernel_id, at = session.main.kernel_id, self.clock.now()
        usage = KernelUsage(session_id=name, kernel_id=kernel_id, at=at, cpu_percent=percent)
        self.agenda.measured(session, usage, at)

    async def checks(self, name):
        now = self.clock.now()
        found = await self.writer.read(lambda books: checks_of(books, name, now))
        return {check.check: check for check in found.checks}


@pytest_asyncio.fixture(loop_scope="session")
async def idle(event_log):
    idle = await Idle(event_log, FakeClock(datetime.now(tz=UTC).replace(microsecond=0))).start()
    yield idle
    await idle.stop()


async def test_who_is_used_by_nobody_is_ended_gently_and_who_is_used_lives_on(idle):
    idle.agenda.set_idle_rules(IdleRules(network_timeout_s=100))
    for name in ("left", "used"):
        await idle.run(name)
    await idle.run("job", session_type="batch")
    await idle.at(60)
    idle.use("used")
    await idle.at(99)
    assert idle.ends() == {}
    check = (await idle.checks("left"))["network_timeout"]
    assert (check.remaining_s, check.detail.limit_s) == (1, 100)
    await idle.at(100)
    assert idle.ends() == {"left": "idle-timeout"}
    assert idle.commits[-1][0].grace_s > 0
    await idle.at(160)
    assert idle.ends() == {"left": "idle-timeout", "used": "idle-timeout"}
    await idle.seen("left", "terminated", exit_code=143, reason="user-requested")
    gone, over = idle.commits[-1]
    assert gone.reason == over.reason == "idle-timeout"
    assert await idle.status("job") == "RUNNING"


async def test_the_policy_and_the_settings_of_the_moment_count_for_what_runs(idle):
    await idle.run("s1")
    await idle.at(1000)
    idle.agenda.set_idle_timeout(SCOPE, 0)
    idle.agenda.set_idle_rules(IdleRules(network_timeout_s=600))
    await idle.tell()
    assert await idle.checks("s1") == {}
    idle.agenda.set_idle_timeout(SCOPE, 1001)
    await idle.tell()
    assert idle.ends() == {}
    idle.agenda.set_idle_timeout(SCOPE, 1000)
    await idle.tell()
    assert idle.ends() == {"s1": "idle-timeout"}


async def test_use_is_judged_when_the_window_is_full_and_then_with_every_sample(idle):
    idle.agenda.set_idle_rules(IdleRules(window_s=600, grace_s=30, thresholds={"cpu": 5, "gpu": 5}))
    await idle.run("lazy", session_type="batch")
    await idle.run("busy", session_type="batch")
    for second in range(10, 631, 10):
        await idle.at(second)
        idle.measure("lazy", 1)
        idle.measure("busy", 10)
        await idle.tell()
        assert idle.ends() == ({"lazy": "idle-utilization"} if second == 630 else {}), second
    check = (await idle.checks("busy"))["utilization"]
    assert (check.ends_at, check.remaining_s) == (None, None)
    assert check.detail.measured_percent == {"cpu": 10}
    assert check.detail.thresholds_percent == {"cpu": 5, "gpu": 5}
    assert check.detail.judged_from == idle.from_start(630)
    for second in range(640, 1400, 10):
        await idle.at(second)
        idle.measure("busy", 0)
        await idle.tell()
        if "busy" in idle.ends():
            break
    # half of the window at 10 % and half at none is 5 % on average
    assert 930 <= second <= 950


async def test_who_is_not_measured_is_not_judged(idle):
    idle.agenda.set_idle_rules(IdleRules(window_s=60, grace_s=0, thresholds={"cpu": 5}))
    await idle.run("s1", session_type="batch")
    idle.measure("s1", 0)
    await idle.at(30)
    idle.measure("s1", 0)
    check = (await idle.checks("s1"))["utilization"]
    assert (check.remaining_s, check.ends_at) == (30, check.detail.judged_from)
    await idle.at(1000)
    assert idle.ends() == {}
    assert (await idle.checks("s1"))["utilization"].detail.judged_from is None
    idle.measure("s1", 0)
    await idle.at(1030)
    idle.measure("s1", 0)
    await idle.at(1059)
    assert idle.ends() == {}
    await idle.at(1060)
    assert idle.ends() == {"s1": "idle-utilization"}


async def test_the_lifetime_is_told_with_the_checks_and_the_first_to_come_counts(idle):
    idle.agenda.set_idle_rules(IdleRules(network_timeout_s=200))
    idle.agenda.set_lifetime(SCOPE, Lifetime(100))
    await idle.run("s1")
    await idle.at(40)
    found = await idle.checks("s1")
    assert [(name, one.remaining_s) for name, one in found.items()] == [
        ("session_lifetime", 60),
        ("network_timeout", 160),
    ]
    await idle.at(100)
    assert idle.ends() == {"s1": "idle-session-lifetime"}
    assert await idle.checks("s1") == {}


async def test_the_books_folded_anew_forget_nobody_who_was_used(idle):
    idle.agenda.set_idle_rules(IdleRules(network_timeout_s=100))
    await idle.run("s1")
    await idle.at(90)
    idle.use("s1")
    session = idle.writer.books.sessions["s1"]
    again = Agenda({"s1": session}, idle=idle.agenda.idle)
    again.entered(session, idle.from_start(0))
    assert again.next_at == idle.from_start(190)


@pytest_asyncio.fixture(loop_scope="session")
async def rules(world):
    """Give what changes settings of idleness, for one test."""
    changed = set()

    async def change(**values):
        for name, value in values.items():
            await world.policies.say(SettingChanged(setting=f"idle.{name}", value=value))
            changed.add(name)

    yield change
    for name in changed:
        await world.policies.say(SettingReset(setting=f"idle.{name}"))


async def checks_by_query(world, session_id):
    answer = await world.queries.ask(
        GetSessionChecks(session_id=session_id), SessionChecks, timeout_s=WAIT_S
    )
    assert isinstance(answer, SessionChecks), answer
    return {check.check: check for check in answer.checks}


async def test_telemetry_of_use_keeps_a_session_and_the_policy_ends_it(world, node, rules):
    owner = await Owner(world).issue()
    session_id = await owner.has(session_type="interactive")
    await node.run(session_id)
    await rules(network_timeout_enabled=True, network_timeout=3600)

    async def told():
        found = await checks_by_query(world, session_id)
        return found.get("network_timeout")

    first = await world.until(told)

    async def moved():
        told_of = SessionActivity(session_id=session_id, at=datetime.now(tz=UTC))
        await telemetry.publish(world.client, session_activity_subject(), told_of)
        found = await told()
        return found if found.ends_at > first.ends_at else None

    async with asyncio.timeout(WAIT_S):
        while await moved() is None:
            pass
    await owner.change(idle_timeout=1)
    ending = await world.event(session_id, "SessionTerminating")
    assert ending["reason"] == "idle-timeout"


async def test_heartbeats_of_an_idle_kernel_end_its_session(world, node, rules):
    await rules(
        utilization_enabled=True, utilization_grace=0, utilization_window=1, utilization_cpu=5
    )
    session_id = (await world.enqueued(session_type="batch"))[0]
    spec = await node.run(session_id)
    async with asyncio.timeout(WAIT_S):
        while "SessionTerminating" not in await world.types_of(session_id):
            await node.beat(spec, cpu_percent=0.1)
    ending = await world.event(session_id, "SessionTerminating")
    assert ending["reason"] == "idle-utilization"


async def test_nothing_is_told_of_a_session_that_does_not_run(world):
    assert await checks_by_query(world, "nobody") == {}
