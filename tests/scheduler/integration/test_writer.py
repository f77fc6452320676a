"""The single writer on a real log: one commit a batch, one answer a command, one leader."""

import asyncio

import asyncpg
import pytest
import pytest_asyncio

from services.scheduler.leadership import NAME
from services.scheduler.writer import WAITING_MAX, Decision
from shared.contracts.base import Accepted
from shared.eventlog.outcomes import LogUnavailable, StaleEpoch
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection
from tests.scheduler.integration.leader import META, Running, fold


@pytest_asyncio.fixture(loop_scope="session")
async def running(event_log):
    running = await Running(event_log).start()
    yield running
    await running.stop()


async def test_an_enqueued_session_is_placed_in_the_same_commit(running):
    outcome = await running.enqueue("s1")
    assert isinstance(outcome, Accepted)
    assert outcome.result == {"session_ids": ["s1"]}
    assert [type(event).__name__ for event in running.commits[-1]] == [
        "SessionEnqueued",
        "SessionScheduled",
    ]
    assert outcome.position == await running.log.head()


async def test_many_callers_share_commits(running):
    before = len(running.commits)
    outcomes = await asyncio.gather(*(running.enqueue(f"s{number}") for number in range(200)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(running.commits) - before < 20
    scheduled = [kind for kind in await running.types() if kind == "SessionScheduled"]
    assert len(scheduled) == 4


async def test_a_restart_finds_the_books_as_they_were(running):
    await asyncio.gather(*(running.enqueue(f"s{number}", kernels=2) for number in range(10)))
    await running.terminate("s0")
    await running.terminate("s9")
    before = running.writer.books.state()
    await running.stop()
    again = await Running(running.log).start()
    assert again.writer.books.state() == before
    assert again.writer.position == await running.log.head()
    await again.stop()


async def test_what_ends_makes_room_for_the_next_in_the_same_commit(running):
    await asyncio.gather(*(running.enqueue(f"s{number}") for number in range(5)))
    await running.terminate("s0")
    assert [type(event).__name__ for event in running.commits[-1]] == [
        "SessionTerminating",
        "KernelTerminated",
        "SessionTerminated",
        "SessionScheduled",
    ]


async def test_a_repeated_command_gets_its_first_answer(running):
    key = CommandKey("k1", "digest")
    first = await running.enqueue("s1", key)
    assert await running.enqueue("s2", key) == first
    await running.stop()
    again = await Running(running.log).start()
    assert await again.enqueue("s3", key) == first
    await again.stop()
    assert (await running.types()).count("SessionEnqueued") == 1


async def test_a_command_repeated_while_it_is_decided_is_done_once(running):
    key = CommandKey("k1", "digest")
    outcomes = await asyncio.gather(*(running.enqueue(f"s{number}", key) for number in range(5)))
    assert len({outcome.result["session_ids"][0] for outcome in outcomes}) == 1
    assert (await running.types()).count("SessionEnqueued") == 1


async def test_a_key_that_stands_for_another_request_is_refused(running):
    await running.enqueue("s1", CommandKey("k1", "digest"))
    outcome = await running.enqueue("s2", CommandKey("k1", "other"))
    assert isinstance(outcome, Rejection)
    assert outcome.code == "idempotency_mismatch"


async def test_a_stale_leader_is_refused_and_stops(running):
    await running.log.take_epoch(NAME)
    head = await running.log.head()
    outcome = await running.enqueue("s1")
    assert isinstance(outcome, Rejection)
    assert outcome.code == "not_leader"
    with pytest.raises(StaleEpoch):
        await running.task
    assert await running.log.head() == head


async def test_a_bug_in_one_decision_does_not_stop_the_others(running):
    def decide(_books):
        raise ZeroDivisionError

    failed, fine = await asyncio.gather(running.writer.submit(decide, META), running.enqueue("s1"))
    assert isinstance(failed, Rejection)
    assert failed.code == "internal_error"
    assert isinstance(fine, Accepted)


async def test_too_much_at_once_is_refused_plainly(running):
    offered = [
        asyncio.create_task(running.writer.submit(lambda _: Decision(()), META))
        for _ in range(WAITING_MAX + 1)
    ]
    outcomes = await asyncio.gather(*offered)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    assert [outcome.code for outcome in refused] == ["overloaded"]


async def test_what_is_unknown_after_lost_connections_is_read_from_the_log(running, postgres):
    admin = await asyncpg.connect(postgres.server.admin_url())
    accepted = []

    async def client(number):
        for turn in range(20):
            name = f"s{number}-{turn}"
            if isinstance(await running.enqueue(name), Accepted):
                accepted.append(name)

    async def cut():
        for _ in range(10):
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'writer-test'"
            )
            await running.writer.submit(lambda _: Decision(()), META)

    await asyncio.gather(cut(), *(client(number) for number in range(16)))
    await admin.close()
    assert (
        await running.writer.read(lambda books: books.state()) == (await fold(running.log)).state()
    )
    enqueued_names = {
        running.log.decode(event).event.name
        for event in await running.log.read(0, 10_000)
        if event.type == "SessionEnqueued"
    }
    assert accepted
    assert set(accepted) <= enqueued_names
    assert (await running.log.verify()).is_intact


async def test_a_blocked_head_is_overtaken_after_its_tries(running):
    await running.enqueue("small")
    await running.enqueue("big", requested={"cpu": 4000})
    await running.enqueue("next")
    async with asyncio.timeout(20):
        while running.writer.books.sessions["next"].status == "PENDING":
            running.has_committed.clear()
            await running.has_committed.wait()
    waiting = running.writer.books.queues["default"].planner.queue
    assert [entry.session.session_id for entry in waiting] == ["big"]


async def test_what_rests_on_the_books_alone_is_not_told_after_another_took_over(running):
    running.is_deposed = True

    def refuse(_books):
        return Rejection(kind="conflict", code="as_the_books_say", message="No.")

    refused = await running.writer.submit(refuse, META)
    assert refused.code == "not_leader"
    with pytest.raises(StaleEpoch):
        await running.task
    # and nobody waits for one that has ended
    assert (await running.writer.submit(refuse, META)).code == "not_leader"
    with pytest.raises(LogUnavailable):
        await running.writer.read(lambda books: books)
