"""A rebuild happens beside what is shown, and shows the same once it has caught up."""

import asyncio

import asyncpg

from shared.projections.generations import Generations
from shared.projections.projection import Tables
from shared.projections.transactions import transaction
from shared.testing.eventually import eventually
from tests.projections.conftest import DEADLINE_S, Bench
from tests.projections.journal import Journal


class Renamed(Journal):
    """The next version of the journal: another column, the same name."""

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        await super().create(tx, tables)
        await tx.execute(f"alter table {tables(self.name)} add column colour text default 'blue'")


async def generation(bench: Bench) -> int:
    return await bench.pool.fetchval(
        "select generation from projection_generations where state = 'live'"
    )


async def test_a_rebuild_beside_the_live_one_ends_equal_to_it(bench: Bench):
    async with bench.running(Journal()) as runner:
        await bench.preset("small")
        flips: list[str] = []
        runner.on_flip(flips.append)
        assert await runner.wait_for(
            "users", await bench.domains(*(f"a{n}" for n in range(700))), DEADLINE_S
        )
        before = await bench.pool.fetch("select source, position, name from journal order by row")
        built = await runner.rebuild("journal")
        seen = 0
        while not flips:
            seen += 1
            last = await bench.domains(f"b{seen}")
            assert await runner.wait_for("users", last, DEADLINE_S)
            assert await bench.rows() == list(range(1, last + 1))
        assert await generation(bench) == built
        last = await bench.domains("c")
        assert await runner.wait_for("users", last, DEADLINE_S)
        after = await bench.pool.fetch("select source, position, name from journal order by row")
    assert [row for row in after if row["source"] == "policies"] == [
        row for row in before if row["source"] == "policies"
    ]
    assert await bench.rows() == list(range(1, last + 1))


async def test_a_new_version_is_shown_once_it_has_caught_up(bench: Bench):
    async with bench.running(Journal()) as runner:
        await bench.preset("small")
        assert await runner.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
    renewed = Renamed(version=2)
    renewed.away = "b"
    async with bench.running(renewed) as runner:
        async with asyncio.timeout(DEADLINE_S):
            await renewed.held.wait()
        assert not await runner.current(0.01)
        assert runner.check().state == "failed"
        assert await bench.rows() == [1, 2]
        assert await bench.pool.fetchval("select max(version) from journal") == 1
        renewed.away = ""
        assert await runner.current(DEADLINE_S)
        assert await runner.wait_for("users", await bench.domains("c"), DEADLINE_S)
    assert await bench.rows() == [1, 2, 3]
    assert await bench.pool.fetchval("select max(colour) from journal") == "blue"
    assert await bench.pool.fetchval("select min(version) from journal") == 2


async def test_a_rebuild_that_was_interrupted_goes_on_at_the_next_start(bench: Bench):
    await bench.preset("small")
    journal = Journal()
    async with bench.running(journal) as runner:
        assert await runner.wait_for("users", await bench.domains("a", "b"), DEADLINE_S)
        journal.away = "b"
        built = await runner.rebuild("journal")
        async with asyncio.timeout(DEADLINE_S):
            await journal.held.wait()
    async with bench.running(Journal()) as runner:
        flips: list[str] = []
        runner.on_flip(flips.append)
        await eventually(lambda: flips == ["journal"])
        assert await generation(bench) == built
    assert await bench.rows() == [1, 2]


async def test_two_processes_agree_on_the_generation_that_is_shown(bench: Bench):
    await bench.preset("small")
    async with bench.running(Journal()) as one, bench.running(Journal()) as two:
        assert await one.wait_for("users", await bench.domains("a"), DEADLINE_S)
        built = await one.rebuild("journal")
        await eventually(lambda: {each.generation for each in one.progress()} == {built})
        last = await bench.domains("b")
        assert await one.wait_for("users", last, DEADLINE_S)
        assert await two.wait_for("users", last, DEADLINE_S)
        await eventually(lambda: {each.generation for each in two.progress()} == {built})
    assert await bench.rows() == [1, 2]


async def test_tables_of_a_generation_long_gone_are_dropped(bench: Bench):
    await bench.preset("small")
    async with bench.running(Journal()) as runner:
        assert await runner.wait_for("users", await bench.domains("a"), DEADLINE_S)
        built = await runner.rebuild("journal")
        await eventually(lambda: {each.generation for each in runner.progress()} == {built})
    await bench.pool.execute(
        "update projection_generations set changed_at = now() - interval '2 days'"
    )
    async with bench.running(Journal()):
        assert await bench.rows() == [1]
        found = await bench.pool.fetch(
            "select tablename from pg_tables where tablename ~ 'journal'"
        )
        assert [row["tablename"] for row in found] == [f"journal_g{built}"]


async def test_a_generation_that_shows_less_than_the_live_one_is_not_shown(bench: Bench):
    generations = Generations(Journal())
    [live] = await generations.prepare(bench.pool)
    built = await generations.rebuild(bench.pool)
    async with transaction(bench.pool) as tx:
        assert await generations.advance(tx, live.number, "users", 0, 5)
        assert await generations.advance(tx, built.number, "users", 0, 4)
    assert not await generations.flip(bench.pool, built.number)
    assert await generation(bench) == live.number
    async with transaction(bench.pool) as tx:
        assert await generations.advance(tx, built.number, "users", 4, 5)
    assert await generations.flip(bench.pool, built.number)
    assert await generation(bench) == built.number


async def test_a_retired_generation_can_not_be_written_to(bench: Bench):
    generations = Generations(Journal())
    [live] = await generations.prepare(bench.pool)
    built = await generations.rebuild(bench.pool)
    assert await generations.flip(bench.pool, built.number)
    async with transaction(bench.pool) as tx:
        assert not await generations.advance(tx, live.number, "users", 0, 1)
        assert await generations.locked_position(tx, live.number, "users") is None
