"""Each event is shown exactly once, in order, whatever happens to the process or the servers."""

import asyncio
import os
import sys

import pytest

from shared.eventlog.pool import open_pool
from shared.projections.projection import Commit
from shared.projections.runner import ProjectionRunner
from shared.testing.eventually import eventually
from shared.testing.servers import Databases, NatsServer
from tests.projections.conftest import DEADLINE_S, Bench, background
from tests.projections.journal import Journal

HANDFUL = [f"d{number}" for number in range(7)]


async def test_events_of_several_services_are_shown_once_each_and_in_order(bench: Bench):
    await bench.domains(*HANDFUL[:3])
    async with bench.running(Journal()) as runner:
        last = await bench.domains(*HANDFUL[3:])
        other = await bench.preset("small")
        assert await runner.wait_for("users", last, DEADLINE_S)
        assert await runner.wait_for("policies", other, DEADLINE_S)
    assert await bench.rows() == list(range(1, last + 1))
    assert await bench.rows("policies") == [1]


async def test_whoever_waits_for_a_position_reads_what_was_written(bench: Bench):
    async with bench.running(Journal()) as runner:
        for name in HANDFUL:
            position = await bench.domains(name)
            assert await runner.wait_for("users", position, DEADLINE_S)
            assert position in await bench.rows()


async def test_waiting_for_what_does_not_come_ends_with_no(bench: Bench):
    async with bench.running(Journal()) as runner:
        position = await bench.domains("a")
        assert await runner.wait_for("users", position, DEADLINE_S)
        assert not await runner.wait_for("users", position + 1, 0.05)
        assert not await runner.wait_for("nobody", 1, 0.05)


async def test_a_projection_goes_on_where_its_process_was_killed(
    bench: Bench, nats_server: NatsServer
):
    environ = {**os.environ, "FOLLOW_DATABASE": bench.url, "FOLLOW_NATS": nats_server.url}
    names = iter(range(10_000))
    last = 0
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.projections.follower",
            env=environ,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                while b"following" not in await process.stdout.readline():
                    pass  # log lines
                for _ in range(20):
                    last = await bench.domains(*(f"n{next(names)}" for _ in range(40)))
        finally:
            process.kill()
            await process.wait()
    async with bench.running(Journal()) as runner:
        assert await runner.wait_for("users", last, DEADLINE_S)
    assert await bench.rows() == list(range(1, last + 1))


async def test_two_processes_take_turns_and_both_hear_of_every_event(bench: Bench):
    heard: list[list[int]] = [[], []]
    second = await open_pool(bench.url, name="second")
    try:
        async with bench.running(Journal()) as one, bench.running(Journal(), pool=second) as two:

            def into(positions: list[int]):
                return lambda commit: positions.extend(e.position for e in commit.events)

            one.on_commit(into(heard[0]))
            two.on_commit(into(heard[1]))
            last = 0
            for number in range(60):
                last = await bench.domains(*(f"x{number}-{part}" for part in range(5)))
            assert await one.wait_for("users", last, DEADLINE_S)
            assert await two.wait_for("users", last, DEADLINE_S)
    finally:
        second.terminate()
    assert await bench.rows() == list(range(1, last + 1))
    assert heard == [list(range(1, last + 1))] * 2


async def test_listeners_hear_only_of_what_is_committed(bench: Bench):
    commits: list[Commit] = []
    async with bench.running(Journal()) as runner:
        runner.on_commit(commits.append)
        position = await bench.domains("a", "b")
        assert await runner.wait_for("users", position, DEADLINE_S)
        assert [event.position for commit in commits for event in commit.events] == [1, 2]
        assert {(commit.projection, commit.source) for commit in commits} == {("journal", "users")}


async def test_postgres_dropping_all_connections_repeats_and_loses_nothing(
    bench: Bench, postgres: Databases
):
    async with bench.running(Journal()) as runner:
        last = 0
        for number in range(8):
            last = await bench.domains(*(f"p{number}-{part}" for part in range(50)))
            await postgres.server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'gateway'"
            )
        assert await runner.wait_for("users", last, DEADLINE_S)
    assert await bench.rows() == list(range(1, last + 1))


async def test_a_deleted_consumer_is_made_again(bench: Bench):
    js = bench.nats.jetstream()
    async with bench.running(Journal()) as runner:
        assert await runner.wait_for("users", await bench.domains("a"), DEADLINE_S)
        for consumer in await js.consumers_info("EVENTS_users"):
            await js.delete_consumer("EVENTS_users", consumer.name)
        assert await runner.wait_for("users", await bench.domains("b"), DEADLINE_S)
    assert await bench.rows() == [1, 2]


@pytest.mark.parametrize("wiped", [False, True])
async def test_a_killed_server_even_with_its_streams_wiped_changes_nothing(
    bench: Bench, nats_server: NatsServer, *, wiped: bool
):
    async with bench.running(Journal()) as runner:
        assert await runner.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
        await nats_server.kill()
        if wiped:
            nats_server.wipe()
        await bench.domains("c")
        await nats_server.start()
        last = await bench.domains("d")
        assert await runner.wait_for("users", last, DEADLINE_S)
        await eventually(lambda: runner.check().state == "ok")
    assert await bench.rows() == [1, 2, 3, 4]


async def test_a_stream_that_does_not_exist_yet_is_waited_for(bench: Bench):
    journal = Journal()
    journal.sources = ("users", "storage")
    async with bench.running(journal) as runner:
        assert await runner.wait_for("users", await bench.domains("a"), DEADLINE_S)
        assert not await runner.wait_for("storage", 1, 0.05)
        await eventually(lambda: "storage" in runner.check().detail)
        assert runner.check().state == "failed"


async def test_health_is_the_lag(bench: Bench):
    runner = ProjectionRunner(bench.pool, bench.nats, [Journal()])
    await runner.prepare()
    assert runner.check().state == "failed"
    async with background(runner.run()):
        await bench.preset("small")
        assert await runner.wait_for("users", await bench.domains("a"), DEADLINE_S)
        await eventually(lambda: runner.check().state == "ok" and runner.check().lag == 0)
        assert {each.source: each.position for each in runner.progress()}["users"] == 1
