"""How many placement decisions a second, and what live or hopeless sessions cost."""

import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest

from services.scheduler.placement.reasons import Explainer
from tests.benchmarks.figures import beside, median_ratio
from tests.benchmarks.placement import enqueue, place, planner_of

WANTED_PER_S = 10_000
FLAT = 0.9
# Processes that take turns find their caches cold, the more so the more memory they have: with
# other work on the machine that alone is a fifth. A cost that grows with the sessions is far more.
FLAT_MIN = 0.7
ROUNDS = 4
WAITING = 200_000
STATES = {
    "0 live": (0, 0),
    "1,000,000 live": (1_000_000, 0),
    "100,000 that fit nowhere": (0, 100_000),
}
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@asynccontextmanager
async def cluster(scheduler, strategy, live, unplaceable):
    """Give how to have a burst placed by a process of its own, at how many decisions a second."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.placement",
        scheduler,
        strategy,
        str(live),
        str(unplaceable),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert await process.stdout.readline() == b"ready\n"

        async def burst():
            process.stdin.write(b"\n")
            return float(await process.stdout.readline())

        yield burst
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("scheduler", "strategy"),
    [("drf", "dispersed"), ("fifo", "concentrated")],
)
async def test_decisions_a_second_with_and_without_live_sessions(scheduler, strategy, show):
    rates = {name: [] for name in STATES}
    async with AsyncExitStack() as stack:
        bursts = [
            (rates[name], await stack.enter_async_context(cluster(scheduler, strategy, *state)))
            for name, state in STATES.items()
        ]
        for _ in range(ROUNDS):  # in turns, so that a busy moment meets all of them
            for found, burst in bursts:
                found.append(await burst())
            bursts.append(bursts.pop(0))
    bare = rates["0 live"]
    for name, found in rates.items():
        ratio = median_ratio(found, bare)
        rate = beside(statistics.median(found), WANTED_PER_S, "decisions/s", at_least=True)
        flat = beside(ratio, FLAT, "of 0 live", at_least=True)
        show(f"{scheduler}, {strategy}, {name}: {rate}, {flat}")
    assert min(median_ratio(found, bare) for found in rates.values()) >= FLAT_MIN


@pytest.fixture(scope="module")
def full():
    """Give a full cluster with tens of thousands waiting."""
    planner = planner_of("dispersed", live=0, size=1)
    enqueue(planner, count(), WAITING)
    place(planner)
    return planner


def test_what_is_freed_is_given_out_at_once_however_many_wait(full, show):
    planner = full
    waiting = len(planner.queue)
    live = list(planner.cluster.holdings)
    times = []
    for kernel_id in live[:200]:
        started_at = time.perf_counter()
        planner.freed(planner.cluster.release(kernel_id))
        if planner.due:
            planner.run(512)
        times.append(time.perf_counter() - started_at)
    times.sort()
    show(
        f"{waiting:,} waiting: from capacity freed to a decision "
        f"p50 {times[100] * 1e3:.2f} ms, p99 {times[197] * 1e3:.2f} ms (wanted p50 < 5 ms)"
    )
    assert waiting > 0


def test_a_page_of_the_queue_with_every_reason(full, show):
    planner = full
    explainer = Explainer(planner)
    times = []
    for turn in range(40):
        planner.cluster.version += 1  # as if something had changed since the last page
        started_at = time.perf_counter()
        page = planner.queue.page(turn * 1000, 20)
        reasons = [explainer.reason(entry) for entry in page]
        times.append(time.perf_counter() - started_at)
        assert len(reasons) == 20
    times.sort()
    show(
        f"a page of 20 of {len(planner.queue):,} waiting, with reasons: p50 "
        f"{times[20] * 1e3:.2f} ms, most {times[-1] * 1e3:.2f} ms (wanted < 50)"
    )
