"""A cluster of 10 000 agents in a process of its own, as the scheduler's leader has it in memory.

`python -m tests.benchmarks.placement STRATEGY LIVE UNPLACEABLE` folds its live sessions as a
restart does, and for every line that it reads places a burst and prints the decisions a second.
As many sessions as came end again, the oldest first: the number of live ones stays.
"""

import gc
import random
import sys
import time
from itertools import count, islice

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner

AGENTS = 10_000
BURST = 20_000
PASS = 512
LIVE_MAX_ON_AGENT = 108
GIB = 2**30


def shapes():
    dice = random.Random(7)
    cpus, mems, shares = [1000, 2000, 4000, 8000], [1, 4, 16], [0, 0, 0, 500]
    return [
        one_kernel(
            {
                "cpu": dice.choice(cpus),
                "mem": dice.choice(mems) * GIB,
                "cuda.shares": dice.choice(shares),
            }
        )
        for _ in range(24)
    ]


def one_kernel(resources):
    return shape_of(resources, "img", "x86_64", 1, "single-node")


def hold(cluster, strategy, live):
    """Hand out what live sessions have, on agents that aren't known yet."""
    kinds = shapes()
    for number in range(live):
        shape = kinds[number % len(kinds)]
        at = number % AGENTS if strategy == "dispersed" else number // LIVE_MAX_ON_AGENT
        at -= at % 4  # every fourth has accelerators; the others have room for more without
        if "cuda.shares" not in dict(shape.slots):
            at += 1 + number % 3
        cluster.hold(f"live{number}", f"agent-{at:05}", shape.slots, {})


def planner_of(strategy, live, size=8):
    """Return a planner over agents that are `size` times 64 processors and 256 GiB large."""
    cluster = Cluster()
    hold(cluster, strategy, live)
    for number in range(AGENTS):
        capacity = {"cpu": 64_000 * size, "mem": 256 * GIB * size}
        if number % 4 == 0:
            capacity["cuda.shares"] = 8000 * size
        cluster.put(Agent(f"agent-{number:05}", "default", "x86_64", capacity))
    options = GroupOptions("default", strategy=strategy, retries_to_skip=1)
    return GroupPlanner(options, cluster)


def enqueue_unplaceable(planner, number):
    """Let sessions wait that no agent can hold, and all of them be passed over."""
    for turn in range(-number, 0):
        shape = one_kernel({"cpu": 10**9 + turn % 100})
        planner.enqueue(Waiting(f"u{turn}", 10, turn, shape, (f"u{turn}.0",)))
    while planner.due or planner.blocker is not None:
        planner.run(PASS)


def enqueue(planner, numbers, burst):
    kinds = shapes()
    for number in islice(numbers, burst):
        shape = kinds[number % len(kinds)]
        planner.enqueue(Waiting(f"s{number}", 10, number, shape, (f"k{number}",)))


def place_all(planner):
    """Place what fits; return how many, and the processor time of it in seconds."""
    placed, finished = 0, False
    began = time.process_time()  # what others do on this machine is not our cost
    while not finished:
        outcome = planner.run(PASS)
        placed += len(outcome.placed)
        finished = outcome.finished
    return placed, time.process_time() - began


def end_oldest(planner, number):
    for kernel_id in list(islice(planner.cluster.holdings, number)):
        planner.freed(planner.cluster.release(kernel_id))


def main(strategy, live, unplaceable):
    """Answer until the input ends."""
    planner = planner_of(strategy, live)
    enqueue_unplaceable(planner, unplaceable)
    gc.freeze()  # as the leader does when it has folded its log
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    numbers = count()
    for _ in sys.stdin:
        enqueue(planner, numbers, BURST)
        placed, took_s = place_all(planner)
        end_oldest(planner, BURST)
        if placed != BURST or len(planner.cluster.holdings) != live:
            raise RuntimeError(f"{placed} of {BURST} placed")
        sys.stdout.write(f"{placed / took_s}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
