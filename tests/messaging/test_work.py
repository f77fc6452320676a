"""However many ask, so many run at once, so many wait, and each is done or refused."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.work import WorkQueue


async def offer_all(concurrency: int, limit: int, offers: list[int]) -> None:
    """Offer jobs that each give way some times; check all promises of the queue."""
    queue = WorkQueue(concurrency, limit)
    running: set[int] = set()
    done: list[int] = []
    taken: list[int] = []
    for number, turns in enumerate(offers):

        async def job(number: int = number, turns: int = turns) -> None:
            running.add(number)
            assert len(running) <= concurrency
            for _ in range(turns):
                await asyncio.sleep(0)
            running.discard(number)
            done.append(number)

        if queue.offer(job):
            taken.append(number)
        else:
            assert queue.running == concurrency
            assert queue.waiting == limit
        assert queue.running <= concurrency
        assert queue.waiting <= limit
        if turns == 0:
            await asyncio.sleep(0)
    assert await queue.finish(10) == []
    assert sorted(done) == taken
    assert (queue.running, queue.waiting) == (0, 0)


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.integers(0, 5), max_size=30))
def test_each_job_that_was_taken_is_done_once_within_the_bounds(
    concurrency: int, limit: int, offers: list[int]
):
    asyncio.run(offer_all(concurrency, limit, offers))


async def test_finishing_gives_back_what_never_had_its_turn():
    queue = WorkQueue(1, 2)
    cancelled: list[bool] = []

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async def waiting() -> None:
        raise AssertionError("it must not run")

    assert queue.offer(stuck)
    assert queue.offer(waiting)
    await asyncio.sleep(0)
    assert await queue.finish(0.01) == [waiting]
    assert cancelled == [True]
