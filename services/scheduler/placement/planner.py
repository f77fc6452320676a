"""Passes over one group's queue: who starts where, who blocks, who waits.

What is known not to fit stays known between passes: a shape that failed is *parked* until
something is freed that could hold a part of it. So an event costs what it changes, not the queue.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.model import GroupOptions, Placed, Shape, Waiting
from services.scheduler.placement.queue import Entry, FifoQueue, OrderKey
from services.scheduler.placement.rows import Row


class Pass(NamedTuple):
    """What a pass did. `finished` is false when it stopped at its limit and must go on."""

    placed: tuple[Placed, ...]
    finished: bool


class GroupPlanner:
    """A group's queue, with the agents of the group."""

    def __init__(self, options: GroupOptions, cluster: Cluster) -> None:
        self.options = options
        self.cluster = cluster
        self.index = cluster.open_group(options.name, options.strategy)
        self.queue = FifoQueue()
        self.blocker: Entry | None = None
        self.due = False

    def configure(self, options: GroupOptions) -> None:
        """Take over changed options; the next pass goes by them."""
        self.options = options
        self.index = self.cluster.open_group(options.name, options.strategy)
        self.due = True

    def enqueue(self, session: Waiting) -> None:
        """Let a session wait. Behind a blocked head nothing changes, so no pass is due."""
        entry = self.queue.add(session)
        blocker = self.blocker
        if blocker is None or blocker.overtaken or entry.key < blocker.key:
            self.due = True

    def withdraw(self, session_id: str) -> None:
        """Take a session out of the queue, because it got a place or gave up."""
        entry = self.queue.discard(session_id)
        if entry is not None and entry is self.blocker:
            self.blocker = None
            self.due = True

    def agent_changed(self, row: Row) -> None:
        """Note that an agent came, returned, or offers something else."""
        self.freed(row)
        self.due = True

    def freed(self, row: Row) -> None:
        """Note that an agent has more room than before: wake what might fit there now."""
        if row.agent.agent_id not in self.index.rows:
            return
        agent = row.agent
        left = row.left()

        def may_fit(shape: Shape) -> bool:
            return (
                agent.architecture == shape.architecture
                and (agent.images is None or shape.image in agent.images)
                and all(amount <= left.get(name, 0) for name, amount in shape.per_node())
            )

        if self.queue.wake(may_fit):
            self.due = True

    def wants_retry(self) -> bool:
        """Tell whether time must pass for someone: a blocked head that may yet be overtaken."""
        return (
            self.options.is_active
            and self.blocker is not None
            and self.options.retries_to_skip > 0
            and self.queue.ends_behind(self.blocker)
        )

    def run(self, limit: int) -> Pass:
        """Place sessions in order until one blocks or `limit` are placed; reserves the places."""
        self.due = False
        self.blocker = None
        if not self.options.is_active or not self.index.rows:
            return Pass((), finished=True)
        placed: list[Placed] = []
        heads: list[tuple[OrderKey, Entry]] = []
        for shape in self.queue.awake():
            self._push_head(heads, shape)
        heapify(heads)
        while len(placed) < limit:
            entry = self._next(heads)
            if entry is None:
                self.queue.passed(None)
                return Pass(tuple(placed), finished=True)
            found = self._try(entry)
            if found is not None:
                placed.append(found)
                was_overtaken = entry.overtaken
                self.queue.discard(entry.session.session_id)
                if was_overtaken:
                    self._push_head(heads, entry.session.shape)
            elif not entry.overtaken and not self.index.offers(entry.session.shape):
                self.queue.step_aside(entry)
            elif not entry.overtaken:
                self.blocker = entry
                self.queue.passed(entry)
                self.queue.tried(entry, self.options.retries_to_skip)
                return Pass(tuple(placed), finished=True)
        self.due = True
        return Pass(tuple(placed), finished=False)

    def _push_head(self, heads: list[tuple[OrderKey, Entry]], shape: Shape) -> None:
        entry = self.queue.first_overtaken(shape)
        if entry is not None and shape not in self.queue.parked:
            heappush(heads, (entry.key, entry))

    def _next(self, heads: list[tuple[OrderKey, Entry]]) -> Entry | None:
        fresh = self.queue.first_fresh()
        if heads and (fresh is None or heads[0][0] < fresh.key):
            return heappop(heads)[1]
        return fresh

    def _try(self, entry: Entry) -> Placed | None:
        session = entry.session
        if session.shape in self.queue.parked:
            return None
        places = self.cluster.place(self.index, session.shape, session.kernel_ids)
        if places is None:
            self.queue.parked.add(session.shape)
            return None
        return Placed(session.session_id, places)
