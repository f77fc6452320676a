"""A group with a queue, day after day: sessions come, wait, run as long as their kind does, end."""

import random
from heapq import heappop, heappush

from services.scheduler.forecast.estimate import waits
from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.snapshot import Running, take
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import Agent, GroupOptions, Waiting, shape_of
from services.scheduler.placement.planner import GroupPlanner

USERS = 8
CPUS = 8


class Trace:
    """A generated history. `load` is how much of the agents is asked for on average."""

    def __init__(self, seed, *, scheduler="fifo", agents=6, load=0.95):
        self.random = random.Random(seed)  # a trace, not a secret
        self.planner = GroupPlanner(GroupOptions("default", scheduler=scheduler), Cluster())
        for number in range(agents):
            self.planner.cluster.put(
                Agent(f"a{number}", "default", "x86_64", {"cpu": CPUS * 1000}, incarnation="i1")
            )
        self.past = Experience()
        self.kinds = [
            (f"u{number}", self.random.uniform(4.0, 8.0), self.random.uniform(0.3, 1.0))
            for number in range(USERS)
        ]
        self.now = 0.0
        self.kernels = {}
        self.running = {}
        self.started = {}
        self._ends = []
        self._count = 0
        work = sum(2.718 ** (middle + width**2 / 2) for _, middle, width in self.kinds) / USERS
        self._pause_s = work * 3.0 / (agents * CPUS * load)  # 3 CPUs are asked for on average

    def next(self):
        """Let time pass until somebody comes; return the session, which does not wait yet."""
        comes_at = self.now + self.random.expovariate(1 / self._pause_s)
        while self._ends and self._ends[0][0] <= comes_at:
            self.now, ended = heappop(self._ends)
            self._end(ended)
        self.now = comes_at
        self._count += 1
        user, middle, width = self.random.choice(self.kinds)
        cpus = self.random.choice((1, 1, 2, 2, 4, 8))
        shape = shape_of({"cpu": cpus * 1000}, "img", "x86_64", 1, "single-node")
        name = f"s{self._count:06}"
        self.kernels[name] = self.random.lognormvariate(middle, width)
        return Waiting(name, 10, self._count, shape, (name,), user, (f"keypair:{user}",))

    def enter(self, session):
        """Let it wait, and start when it can."""
        self.past.arrivals.came(session, self.now)
        self.planner.enqueue(session)
        self.started[session.session_id] = None
        self._place()

    def estimate(self, session):
        """Return for how long a session that has just come will wait, if that can be told."""
        holdings = self.planner.cluster.holdings
        running = tuple(
            Running(name, user, "img", self.now - since, {name: holdings[name]})
            for name, (user, since) in self.running.items()
        )
        snapshot = take(self.planner, [session], running)
        return waits(snapshot, [session], self.past, [session.session_id]).get(session.session_id)

    def _place(self):
        # whoever is first in line is passed over in the seconds to come: none, on this scale
        while self.planner.due or self.planner.wants_retry():
            self.planner.due = True
            users = {name: one.session.user for name, one in self.planner.queue.entries.items()}
            for placed in self.planner.run(1_000_000).placed:
                name = placed.session_id
                self.started[name] = self.now
                self.running[name] = (users[name], self.now)
                heappush(self._ends, (self.now + self.kernels[name], name))

    def _end(self, name):
        user, since = self.running.pop(name)
        self.past.run_times.observe(user, "img", self.now - since)
        row = self.planner.cluster.release(name)
        self.planner.freed(row)
        self.planner.ledgers.refund(name)
        self._place()
