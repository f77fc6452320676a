"""What becomes of sessions when nothing happens but that time goes by: a fake clock, a real log."""

from datetime import UTC, datetime

import pytest
import pytest_asyncio

from services.scheduler.domain import session_rules
from services.scheduler.domain.deadlines import HANG_TIMEOUT_S, STOPPING_MAX_S
from services.scheduler.domain.restarting import restart
from services.scheduler.domain.scopes import Ceiling, keypair_scope
from services.scheduler.writer import Decision
from shared.testing.clock import FakeClock
from tests.scheduler.integration.leader import AGENT, META
from tests.scheduler.integration.timed import Timed

TOO_LARGE = {"cpu": 400_000}


@pytest_asyncio.fixture(loop_scope="session")
async def timed(event_log):
    timed = await Timed(event_log, FakeClock(datetime.now(tz=UTC))).start()
    yield timed
    await timed.stop()


async def test_who_has_waited_for_the_pending_timeout_is_cancelled(timed):
    await timed.timeout_of(60)
    await timed.enqueue("s1", requested=TOO_LARGE)
    await timed.at(59)
    assert await timed.waits("s1")
    await timed.at(60)
    assert timed.ends() == {"s1": "pending-timeout"}
    assert timed.writer.books.pending.state() == {}


@pytest.mark.parametrize("never", [None, 0])
async def test_without_a_pending_timeout_one_waits_for_ever(timed, never):
    await timed.timeout_of(60)
    await timed.enqueue("s1", requested=TOO_LARGE)
    await timed.timeout_of(never)
    await timed.at(10**8)
    assert await timed.waits("s1")


async def test_the_pending_timeout_of_the_moment_counts_for_all_that_wait(timed):
    await timed.enqueue("old", requested=TOO_LARGE)
    await timed.at(100)
    await timed.enqueue("new", requested=TOO_LARGE)
    await timed.timeout_of(30)
    await timed.at(100.5)
    assert timed.ends() == {"old": "pending-timeout"}
    await timed.timeout_of(300)
    await timed.at(399)
    assert await timed.waits("new")
    await timed.at(400)
    assert set(timed.ends()) == {"old", "new"}


async def test_the_pending_timeout_counts_from_the_time_to_start(timed):
    await timed.timeout_of(60)
    await timed.enqueue("s1", requested=TOO_LARGE, starts_at=timed.from_start(1000))
    await timed.at(1059)
    assert await timed.waits("s1")
    await timed.at(1060)
    assert timed.ends() == {"s1": "pending-timeout"}


async def test_a_new_leader_goes_on_counting(timed):
    await timed.timeout_of(60)
    await timed.enqueue("s1", requested=TOO_LARGE)
    await timed.enqueue("s2", requested=TOO_LARGE, starts_at=timed.from_start(1000))
    await timed.at(30)
    await timed.stop()
    again = await Timed(timed.log, timed.clock).start()
    await again.at(40)
    assert again.ends() == {"s1": "pending-timeout"}
    assert await again.waits("s2")
    await again.at(1040)
    assert set(again.ends()) == {"s1", "s2"}
    await again.stop()


async def test_the_alarm_of_the_writer_rings_by_itself(timed):
    await timed.timeout_of(1)
    await timed.enqueue("s1", requested=TOO_LARGE)
    timed.clock.advance(1)
    while not timed.ends():
        timed.has_committed.clear()
        await timed.has_committed.wait()
    assert timed.ends() == {"s1": "pending-timeout"}


async def test_nothing_starts_before_its_time_and_everything_at_once_then(timed):
    await timed.enqueue("early", starts_at=timed.from_start(100))
    await timed.enqueue("wide", kernels=4)
    await timed.enqueue("next", requested={"cpu": 4000})
    entry = await timed.entry("early")
    assert (entry.reason.code, entry.retries) == ("not-due-yet", 0)
    assert await timed.status("wide") == "SCHEDULED"
    await timed.at(99)
    assert await timed.status("early") == "PENDING"
    await timed.terminate("wide")
    assert await timed.status("next") == "SCHEDULED"
    await timed.terminate("next")
    await timed.at(100)
    assert await timed.status("early") == "SCHEDULED"


async def test_who_asked_to_start_in_the_past_starts_at_once(timed):
    await timed.enqueue("s1", starts_at=timed.from_start(-5))
    assert await timed.status("s1") == "SCHEDULED"


async def test_a_session_starts_in_the_commit_in_which_its_last_dependency_ends_well(timed):
    for name in ("a", "b"):
        await timed.enqueue(name)
    await timed.enqueue("c", depends_on=("a", "b"))
    await timed.seen("a", "terminated", exit_code=0)
    reason = (await timed.entry("c")).reason
    assert reason.code == "waits-for-dependencies"
    assert [one.scope for one in reason.violations] == ["session:b"]
    await timed.seen("b", "terminated", exit_code=0)
    assert [type(event).__name__ for event in timed.commits[-1]] == [
        "KernelTerminated",
        "SessionTerminated",
        "SessionScheduled",
    ]
    assert timed.commits[-1][-1].session_id == "c"


async def test_who_depends_on_what_fails_is_cancelled_and_so_is_who_depends_on_that(timed):
    await timed.enqueue("a")
    await timed.enqueue("b", depends_on=("a",))
    await timed.enqueue("c", depends_on=("b",))
    await timed.enqueue("d", depends_on=("a", "c"), starts_at=timed.from_start(50))
    await timed.enqueue("e")
    await timed.seen("a", "terminated", exit_code=3)
    cancelled = {
        event.session_id: event.detail
        for event in timed.commits[-1]
        if type(event).__name__ == "SessionCancelled"
    }
    assert set(cancelled) == {"b", "c", "d"}
    assert "depended on a" in cancelled["b"]
    assert "depended on b" in cancelled["c"]
    assert set(timed.ends().values()) == {"dependency-failed"}
    assert timed.writer.books.waiting_room.state() == {}


async def test_a_new_leader_knows_who_waits_for_whom(timed):
    await timed.enqueue("a")
    await timed.enqueue("b", depends_on=("a",))
    await timed.enqueue("c", depends_on=("a",), starts_at=timed.from_start(50))
    before = timed.writer.books.state()
    await timed.stop()
    again = await Timed(timed.log, timed.clock).start()
    assert again.writer.books.state() == before
    await again.seen("a", "terminated", exit_code=0)
    assert await again.status("b") == "SCHEDULED"
    assert (await again.entry("c")).reason.code == "not-due-yet"
    await again.at(50)
    assert await again.status("c") == "SCHEDULED"
    await again.stop()


async def test_a_lifetime_counts_from_the_start_and_ends_gently(timed):
    timed.writer.books.set_limits(keypair_scope("AK"), Ceiling({}, lifetime_s=100))
    await timed.enqueue("s1", access_key="AK")
    await timed.enqueue("service", access_key="AK", session_type="inference")
    await timed.at(50)
    await timed.seen("s1", "running")
    await timed.seen("service", "running")
    await timed.at(149)
    assert await timed.status("s1") == "RUNNING"
    await timed.at(150)
    assert timed.ends() == {"s1": "idle-session-lifetime"}
    assert timed.commits[-1][0].grace_s > 0
    await timed.seen("s1", "terminated", exit_code=143, reason="user-requested")
    gone, over = timed.commits[-1]
    assert gone.reason == over.reason == "idle-session-lifetime"


async def test_a_lifetime_from_the_creation_goes_on_while_a_session_waits(timed):
    ceiling = Ceiling({}, lifetime_s=100, lifetime_base="created")
    timed.writer.books.set_limits(keypair_scope("AK"), ceiling)
    await timed.enqueue("ran", access_key="AK")
    whole = {"cpu": 4000}
    await timed.enqueue("waits", access_key="AK", requested=whole)
    await timed.enqueue("later", access_key="AK", starts_at=timed.from_start(60))
    await timed.enqueue("service", access_key="AK", session_type="inference", requested=whole)
    await timed.at(99)
    await timed.seen("ran", "running")
    assert timed.ends() == {}
    await timed.at(100)
    assert timed.ends() == {"ran": "idle-session-lifetime", "waits": "idle-session-lifetime"}
    await timed.seen("ran", "terminated", exit_code=143, reason="user-requested")


async def test_a_changed_lifetime_counts_at_once_for_what_runs(timed):
    scope = keypair_scope("AK")
    timed.writer.books.set_limits(scope, Ceiling({}))
    await timed.enqueue("s1", access_key="AK")
    await timed.seen("s1", "running")
    await timed.at(1000)
    timed.writer.books.set_limits(scope, Ceiling({}, lifetime_s=2000))
    await timed.at(1001)
    assert await timed.status("s1") == "RUNNING"
    timed.writer.books.set_limits(scope, Ceiling({}, lifetime_s=1001))
    await timed.tell()
    assert timed.ends() == {"s1": "idle-session-lifetime"}


async def test_what_does_not_come_up_is_stopped_and_given_up_when_nobody_answers(timed):
    await timed.enqueue("s1")
    await timed.seen("s1", "preparing")
    await timed.at(HANG_TIMEOUT_S - 1)
    assert await timed.status("s1") == "PREPARING"
    await timed.at(HANG_TIMEOUT_S)
    assert await timed.status("s1") == "TERMINATING"
    assert timed.commits[-1][0].forced
    await timed.at(HANG_TIMEOUT_S + STOPPING_MAX_S)
    assert timed.ends() == {"s1": "hang-timeout"}
    assert type(timed.commits[-1][-1]).__name__ == "SessionFailed"
    assert timed.writer.books.cluster.holdings == {}


async def test_what_is_on_an_agent_that_is_away_is_given_up_as_soon_as_it_is_overdue(timed):
    await timed.enqueue("s1")
    timed.writer.books.put_agent(AGENT._replace(alive=False))
    await timed.at(HANG_TIMEOUT_S)
    assert await timed.status("s1") is None
    assert type(timed.commits[-1][-1]).__name__ == "SessionFailed"


async def test_what_does_not_end_is_given_up_after_its_grace_and_ten_minutes(timed):
    await timed.enqueue("s1")
    await timed.seen("s1", "running")
    await timed.at(10)

    def stop(books):
        session = books.sessions["s1"]
        return Decision(
            session_rules.terminate(
                session, forced=False, grace_s=30, at=timed.clock.now(), is_reachable=lambda _: True
            )
        )

    await timed.writer.submit(stop, META)
    await timed.at(10 + 30 + STOPPING_MAX_S - 1)
    assert await timed.status("s1") == "TERMINATING"
    await timed.at(10 + 30 + STOPPING_MAX_S)
    assert await timed.status("s1") is None
    assert timed.commits[-1][-1].reason == "user-requested"


async def restarting(timed, **more):
    await timed.enqueue("s1", **more)
    await timed.seen("s1", "running")

    def decide(books):
        found = restart(
            books.sessions["s1"], kernel_ids=("k2",), grace_s=30, is_reachable=lambda _: True
        )
        return Decision(found)

    await timed.writer.submit(decide, META)


async def test_what_does_not_end_to_start_anew_is_given_up(timed):
    await restarting(timed)
    await timed.at(30 + STOPPING_MAX_S - 1)
    assert await timed.status("s1") == "RESTARTING"
    await timed.at(30 + STOPPING_MAX_S)
    assert await timed.status("s1") is None
    assert timed.commits[-1][-1].reason == "hang-timeout"
    assert timed.writer.books.cluster.holdings == {}


async def test_a_restart_does_not_lengthen_a_life(timed):
    timed.writer.books.set_limits(keypair_scope("AK"), Ceiling({}, lifetime_s=100))
    await restarting(timed, access_key="AK")
    await timed.at(60)
    await timed.seen("s1", "terminated", exit_code=143)
    await timed.seen("s1", "running")
    await timed.at(99)
    assert await timed.status("s1") == "RUNNING"
    await timed.at(100)
    assert timed.ends() == {"s1": "idle-session-lifetime"}
