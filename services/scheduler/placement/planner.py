"""Passes over one group's queue: who starts where, who blocks, who waits.

What is known not to fit stays known between passes: a shape that failed is *parked* until
something is freed that could hold a part of it. So an event costs what it changes, not the queue.
"""

from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.line import Line
from services.scheduler.placement.model import GroupOptions, Placed, Shape, Waiting
from services.scheduler.placement.queue import Capacity, Entry, Pass, Site, WaitingQueue
from services.scheduler.placement.rows import Row
from services.scheduler.placement.shares import Shares


class GroupPlanner:
    """A group's queue, with the agents of the group and the ledgers of the whole cluster."""

    def __init__(
        self, options: GroupOptions, cluster: Cluster, ledgers: Ledgers | None = None
    ) -> None:
        self.options = options
        self.cluster = cluster
        self.ledgers = Ledgers() if ledgers is None else ledgers
        self.index = cluster.open_group(options)
        self.queue = _queue_for(options, self.ledgers, self)

    @property
    def due(self) -> bool:
        """Whether something has changed that a pass must look at."""
        return self.queue.due

    @due.setter
    def due(self, value: bool) -> None:
        self.queue.due = value

    @property
    def blocker(self) -> Entry | None:
        """The session that lets nobody pass, if there is one."""
        return self.queue.blocker if isinstance(self.queue, Line) else None

    def configure(self, options: GroupOptions) -> None:
        """Take over changed options; the next pass goes by them, and no try is forgotten."""
        if options == self.options:
            return
        waiting = sorted(self.queue.entries.values(), key=lambda entry: entry.session.turn)
        tries = [self.queue.tries(entry) for entry in waiting]
        for entry in waiting:
            self.queue.discard(entry.session.session_id)
        self.options = options
        self.index = self.cluster.open_group(options)
        self.queue = _queue_for(options, self.ledgers, self)
        for entry, count in zip(waiting, tries, strict=True):
            self.queue.add(entry.session, count)
        self.due = True

    def enqueue(self, session: Waiting) -> None:
        """Let a session wait."""
        self.queue.add(session)

    def withdraw(self, session_id: str) -> None:
        """Take a session out of the queue, because it gave up."""
        self.queue.discard(session_id)

    def scheduled(self, session_id: str) -> None:
        """Note that a session has got its place, in this pass or in a former life of the books.

        From now on its scopes are charged for it, until `Ledgers.refund`.
        """
        entry = self.queue.discard(session_id)
        if entry is not None:
            self.ledgers.charge(session_id, entry.lane.bill)

    def agent_changed(self, row: Row) -> None:
        """Note that an agent came, returned, or offers something else."""
        self.freed(row)
        self.queue.look_again()

    def freed(self, row: Row) -> None:
        """Note that an agent has more room than before: wake what might fit there now."""
        if row.agent.agent_id not in self.index.rows:
            return
        parked = self.queue.parked
        if not parked:
            return
        free = dict(zip(self.index.slots, row.free, strict=True))

        def may_fit(shape: Shape) -> bool:
            return shape.suits(row.agent) and all(
                amount <= free.get(name, 0) for name, amount in self.index.needs(shape)
            )

        self.queue.wake(parked.take(free, may_fit))

    def wants_retry(self) -> bool:
        """Tell whether time must pass for someone: a blocked head that may yet be overtaken."""
        queue = self.queue
        return self.options.is_active and isinstance(queue, Line) and queue.wants_retry()

    def run(self, limit: int) -> Pass:
        """Place sessions in order until one blocks or `limit` are placed; reserves the places."""
        self.due = False
        if not self.options.is_active or not self.index.rows:
            self.queue.stand_down()
            return Pass((), finished=True)
        return self.queue.run(limit)

    def offers(self, shape: Shape) -> bool:
        """Tell whether any agent has what a shape asks for, free or not."""
        return self.index.offers(shape)

    def capacity(self) -> Capacity:
        """Return what the group's agents have of each slot in all."""
        return self.index.capacity

    def place(self, entry: Entry) -> Placed | None:
        """Reserve for a session, and charge it to its scopes; None when it fits nowhere."""
        session = entry.session
        if session.shape in self.queue.parked:
            return None
        places = self.cluster.place(self.index, session.shape, session.kernel_ids)
        if places is None:
            self.queue.parked.add(session.shape, *self.index.dearest(session.shape))
            return None
        self.ledgers.charge(session.session_id, entry.lane.bill)
        return Placed(session.session_id, places)


def _queue_for(options: GroupOptions, ledgers: Ledgers, site: Site) -> WaitingQueue:
    match options.scheduler:
        case "drf":
            return Shares(options.name, ledgers, site)
        case "lifo":
            return Line(options.name, ledgers, site, retries_to_skip=0, is_newest_first=True)
        case _:
            return Line(options.name, ledgers, site, retries_to_skip=options.retries_to_skip)
