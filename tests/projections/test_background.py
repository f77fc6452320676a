"""A projection in the background gathers until somebody waits for it; nothing else waits."""

import asyncio

from shared.testing.eventually import eventually
from tests.projections.conftest import DEADLINE_S, Bench
from tests.projections.journal import Journal


class Patient(Journal):
    """Would gather for as long as any test may take."""

    linger_s = 10 * DEADLINE_S


async def test_nobody_waits_for_a_projection_in_the_background_who_does_not_name_it(bench: Bench):
    await bench.preset("small")
    async with bench.running(Journal("front"), Patient("back")) as runner:
        commits = []
        runner.on_commit(commits.append)
        last = await bench.domains("a", "b")
        assert await runner.wait_for("users", last, DEADLINE_S)
        assert runner.position("users") == last
        assert await bench.rows(name="front") == [1, 2]
        assert await bench.rows(name="back") == []
        assert {commit.projection for commit in commits} == {"front"}


async def test_whoever_waits_for_it_by_name_is_served_at_once(bench: Bench):
    async with bench.running(Patient("back")) as runner:
        for number in range(1, 4):
            last = await bench.domains(f"d{number}")
            named = {"projections": ("back",)}
            while not await runner.wait_for("users", last, 0.2, **named):
                assert await bench.rows(name="back") == list(range(1, number))
            assert await bench.rows(name="back") == list(range(1, last + 1))


async def test_whoever_waits_for_what_has_not_happened_yet_is_served_when_it_has(bench: Bench):
    async with bench.running(Patient("back")) as runner:
        waiting = asyncio.create_task(
            runner.wait_for("users", 3, DEADLINE_S, projections=("back",))
        )
        for number in range(1, 3):
            await bench.domains(f"d{number}")
            expected = list(range(1, number + 1))

            async def written(expected: list[int] = expected) -> bool:
                return await bench.rows(name="back") == expected

            await eventually(written)
        await bench.domains("d3")
        assert await waiting


async def test_what_was_there_before_it_started_is_not_waited_for(bench: Bench):
    last = await bench.domains(*(f"d{number}" for number in range(600)))
    async with bench.running(Patient("back")) as runner:
        assert await runner.wait_for("users", last, DEADLINE_S, projections=("back",))
    assert await bench.rows(name="back") == list(range(1, 601))


async def test_one_in_the_background_that_is_behind_fails_nobody(bench: Bench):
    await bench.preset("small")
    back = Journal("back", version=1)
    async with bench.running(back, Journal("front")) as runner:
        last = await bench.domains("a")
        assert await runner.wait_for("users", last, DEADLINE_S)
    async with bench.running(Patient("back", version=2), Journal("front")) as runner:
        await eventually(lambda: runner.check().state == "degraded")
        assert "rebuilt" in runner.check().detail
