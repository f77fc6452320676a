"""What the scheduler's books cost at one size, in a process of its own.

`python -m tests.benchmarks.growth AGENTS PENDING` folds as many sessions that wait of 1 000 users,
under limits on everything, into the books of a leader, and prints a JSON object of its figures.
Times are of the processor.
"""

import gc
import json
import statistics
import sys
import time
from itertools import count, islice
from pathlib import Path

from services.scheduler.books import Books
from services.scheduler.domain import resource_group
from services.scheduler.placement.model import Agent
from tests.benchmarks import placement
from tests.scheduler.unit.sessions import START, enqueued

BURST = 1_000
CHUNK = 250
PAGES = 20
UNIT = 50_000  # processors of an agent: the smallest cluster takes a burst, too


def resident_bytes():
    """Return how much memory this process has."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(found.split()[1]) * 1024


def facts(pending):
    kinds = placement.shapes()
    for number in range(pending):
        user = number * 7 % placement.USERS
        yield enqueued(
            f"p{number:06}",
            user_id=f"{user}",
            access_key=f"{user}",
            project_id=f"{user % placement.PROJECTS}",
            requested=dict(kinds[number % len(kinds)].slots),
        )


def books_of(agents):
    """Return the books of a leader that knows agents with the same capacity in all."""
    books = Books()
    for event in resource_group.seed(None):
        books.apply(event, "", START)
    for number in range(agents):
        capacity = {"cpu": UNIT * 1000, "mem": UNIT * 4 * placement.GIB}
        if number % 4 == 0:
            capacity["cuda.shares"] = UNIT * 1000
        books.put_agent(Agent(f"agent-{number:05}", "default", "x86_64", capacity))
    return books


def page_ms(queue):
    """Return the median time of a page of 20 with its reasons, after something has changed."""
    times = []
    for turn in range(PAGES):
        queue.planner.cluster.version += 1
        began = time.process_time()
        entries = queue.planner.queue.page(len(queue.planner.queue) * turn // PAGES, 20)
        for entry in entries:
            queue.explainer.reason(entry)
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


def decisions_per_s(planner):
    """Place bursts while as many come and end; return the median rate."""
    rates = []
    numbers = count()
    for _ in range(5):
        placement.enqueue(planner, numbers, BURST)
        placed, took_s = placement.place(planner, BURST)
        rates.append(placed / took_s)
        placement.end_oldest(planner, BURST)
    return statistics.median(rates)


def fold(books, pending):
    """Let as many wait; return the processor time in seconds."""
    folded_s = 0.0
    coming = facts(pending)
    while events := tuple(islice(coming, CHUNK)):
        began = time.process_time()
        for event in events:
            books.apply(event, "", START)
        folded_s += time.process_time() - began
    return folded_s


def main(agents, pending):
    books = books_of(agents)
    placement.limit(books)
    gc.collect()
    gc.freeze()  # as the leader does when it is ready
    before = resident_bytes()
    folded_s = fold(books, pending)
    grown = resident_bytes() - before
    queue = books.queues["default"]
    figures = {
        "fold_us": folded_s / pending * 1e6,
        "kib": grown / pending / 1024,
        "page_ms": page_ms(queue),
        "decisions_per_s": decisions_per_s(queue.planner),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
