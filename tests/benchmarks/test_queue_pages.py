"""Pages of a queue of 100 000 of 1 000 users, right after the shares of all have changed."""

import time
from itertools import count

import pytest

from services.scheduler.placement.reasons import Explainer
from shared.runtime.collector import calm
from tests.benchmarks.figures import beside
from tests.benchmarks.placement import USERS, enqueue, place, planner_of

WAITING = 100_000
LIVE = 60_000
PAGE = 20
WANTED_MS = 50
ROUNDS = 9
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def waiting(scheduler):
    """Return a planner with as many as that waiting, a full cluster, and whose each one is."""
    planner = planner_of("concentrated", live=0, size=1, scheduler=scheduler)
    numbers = count()
    enqueue(planner, numbers, LIVE)
    place(planner, LIVE)
    enqueue(planner, numbers, WAITING - len(planner.queue))
    return planner, numbers


def change_all(planner, live, numbers):
    """End a session of every user, place as many as there is room for, and let as many come."""
    for _ in range(USERS):
        kernel_id = next(live)
        planner.freed(planner.cluster.release(kernel_id))
        planner.ledgers.refund(kernel_id.removesuffix(".0"))
    place(planner, USERS)
    enqueue(planner, numbers, WAITING - len(planner.queue))


@pytest.mark.parametrize("scheduler", ["fifo", "lifo", "drf"])
def test_a_page_anywhere_right_after_all_shares_have_changed(scheduler, show):
    planner, numbers = waiting(scheduler)
    explainer = Explainer(planner)
    planner.queue.page(0, PAGE)  # as the leader looks four times a second
    calm()  # as every service does once it is ready
    live = iter(list(planner.cluster.holdings))
    times_ms = []
    for turn in range(ROUNDS):
        change_all(planner, live, numbers)
        offset = (WAITING - PAGE) * turn // (ROUNDS - 1)
        began = time.process_time()  # what others do on this machine is not our cost
        page = planner.queue.page(offset, PAGE)
        reasons = [explainer.reason(entry) for entry in page]
        times_ms.append((time.process_time() - began) * 1e3)
        assert len(reasons) == PAGE
    order = list(planner.queue)
    assert len(order) == WAITING
    assert page == order[offset : offset + PAGE]
    times_ms.sort()
    middle = beside(times_ms[ROUNDS // 2], WANTED_MS, "ms")
    show(
        f"{scheduler}: a page of {PAGE} of {WAITING:,} waiting of {USERS:,} users, with reasons,"
        f" after all shares changed: p50 {middle}, most {beside(times_ms[-1], WANTED_MS, 'ms')}"
    )
