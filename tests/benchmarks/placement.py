"""A cluster of 10 000 agents in a process of its own, as the scheduler's leader has it in memory.

`python -m tests.benchmarks.placement SCHEDULER STRATEGY LIVE UNPLACEABLE LIMITED` folds its live
sessions as a restart does, lets 100 000 of 1 000 users wait, under limits on everything if LIMITED
is 1, and for every line that it reads places a burst of them and prints the decisions a second,
and how many ends a second it takes in. As many come and as many end, the oldest first: the numbers
of those who wait and who live stay.
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
BURST = 5_000
BACKLOG = 100_000
USERS = 1000
PASS = 512
LIVE_MAX_ON_AGENT = 108
PROJECTS = 50
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


def planner_of(strategy, live, size=8, scheduler="fifo"):
    """Return a planner over agents that are `size` times 64 processors and 256 GiB large."""
    cluster = Cluster()
    hold(cluster, strategy, live)
    for number in range(AGENTS):
        capacity = {"cpu": 64_000 * size, "mem": 256 * GIB * size}
        if number % 4 == 0:
            capacity["cuda.shares"] = 8000 * size
        cluster.put(Agent(f"agent-{number:05}", "default", "x86_64", capacity))
    options = GroupOptions("default", strategy=strategy, retries_to_skip=1, scheduler=scheduler)
    return GroupPlanner(options, cluster)


def enqueue_unplaceable(planner, number):
    """Let sessions wait that no agent can hold, and all of them be passed over."""
    for turn in range(-number, 0):
        shape = one_kernel({"cpu": 10**9 + turn % 100})
        planner.enqueue(waiting(f"u{turn}", turn, shape, turn % USERS + USERS))
    while planner.due or planner.blocker is not None:
        planner.run(PASS)


def scopes_of(user):
    return f"keypair:{user}", f"user:{user}", f"project:{user % PROJECTS}", "domain:default"


def waiting(name, turn, shape, user):
    return Waiting(name, 10, turn, shape, (f"{name}.0",), f"{user}", scopes_of(user))


def limit(planner):
    """Limit every slot and the number of sessions of every scope; nobody ever comes there."""
    slots = {"cpu": 10**13, "mem": 10**19, "cuda.shares": 10**12}
    for scope in {scope for user in range(2 * USERS) for scope in scopes_of(user)}:
        planner.ledgers.set_limits(scope, slots, max_sessions=10**7)


def enqueue(planner, numbers, burst):
    kinds = shapes()
    for number in islice(numbers, burst):
        shape = kinds[number % len(kinds)]
        planner.enqueue(waiting(f"s{number}", number, shape, number * 7 % USERS))


def place(planner, most=1_000_000_000):
    """Place what fits, up to `most`; return how many, and the processor time in seconds."""
    placed, finished = 0, False
    began = time.process_time()  # what others do on this machine is not our cost
    while placed < most and not finished:
        outcome = planner.run(min(PASS, most - placed))
        placed += len(outcome.placed)
        finished = outcome.finished
    return placed, time.process_time() - began


def end_oldest(planner, number):
    """End the oldest sessions; return the processor time in seconds."""
    oldest = list(islice(planner.cluster.holdings, number))
    began = time.process_time()
    for kernel_id in oldest:
        planner.freed(planner.cluster.release(kernel_id))
        planner.ledgers.refund(kernel_id.removesuffix(".0"))
    return time.process_time() - began


def main(scheduler, strategy, live, unplaceable, limited):
    """Answer until the input ends."""
    planner = planner_of(strategy, live, scheduler=scheduler)
    if limited:
        limit(planner)
    enqueue_unplaceable(planner, unplaceable)
    numbers = count()
    enqueue(planner, numbers, BACKLOG - BURST)
    gc.freeze()  # as the leader does when it has folded its log
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        enqueue(planner, numbers, BURST)
        placed, took_s = place(planner, BURST)
        ended_s = end_oldest(planner, BURST)
        if placed != BURST or len(planner.cluster.holdings) != live:
            raise RuntimeError(f"{placed} of {BURST} placed")
        sys.stdout.write(f"{placed / took_s} {BURST / ended_s}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
