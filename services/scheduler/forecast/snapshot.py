"""What placement goes by in one group at a moment, copied so that it can be played with elsewhere.

Taking it only reads, and costs little; setting it up again costs more, and can be done off the
event loop: nothing in a snapshot is shared with what goes on meanwhile.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.scheduler.placement.cluster import Cluster, Holding
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.line import Line
from services.scheduler.placement.model import GroupOptions, Waiting
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.queue import Entry, share_scope
from services.scheduler.placement.rows import Row

WAITING_MAX: Final = 10_000


class Stance(NamedTuple):
    """A waiting session and how it stands: tried how often, passed over, aside for a limit."""

    session: Waiting
    tries: int
    is_overtaken: bool
    is_aside: bool


class Running(NamedTuple):
    """A session that has a place: since how long it runs, and what its kernels hold, by id."""

    session_id: str
    user: str
    image: str
    elapsed_s: float
    holdings: dict[str, Holding]


class Snapshot(NamedTuple):
    """A group's options, agents, ledgers and first waiting sessions; `left_out` wait behind.

    `is_due`: a pass is still to be made over what has changed. `last_chosen` is for round robin.
    `running` is there only if it was asked for.
    """

    options: GroupOptions
    rows: tuple[Row, ...]
    last_chosen: dict[str, str]
    ledgers: Ledgers
    waiting: tuple[Stance, ...]
    blocker: str | None
    is_due: bool
    left_out: int
    running: tuple[Running, ...] = ()


def take(
    planner: GroupPlanner,
    newcomers: Iterable[Waiting],
    running: tuple[Running, ...] = (),
    limit: int = WAITING_MAX,
) -> Snapshot:
    """Copy what placement goes by, for up to `limit` that wait and some who are to come."""
    queue = planner.queue
    entries = queue.page(0, limit)
    blocker = planner.blocker
    if blocker is not None and len(entries) < len(queue) and blocker not in entries:
        entries.append(blocker)
    newcomers = tuple(newcomers)
    options = planner.options
    if options.strategy == "roundrobin":
        for session in newcomers:
            planner.cluster.last_chosen(planner.index, session.shape)
    scopes = {account.scope for entry in entries for account in entry.lane.bill.accounts}
    for session in newcomers:
        scopes.update(session.scopes)
        scopes.add(share_scope(options.name, session.user))
    return Snapshot(
        options=options,
        rows=tuple(_copied(row) for row in planner.cluster.rows.values() if _is_in(row, options)),
        last_chosen=dict(planner.index.last_chosen),
        ledgers=planner.ledgers.copied(scopes, [one.session_id for one in running]),
        waiting=tuple(_stance(planner, entry) for entry in entries),
        blocker=blocker.session.session_id if blocker else None,
        is_due=planner.due,
        left_out=len(queue) - len(entries),
        running=running,
    )


def set_up(snapshot: Snapshot) -> GroupPlanner:
    """Return a planner that stands as the one did that the snapshot was taken of."""
    cluster = Cluster()
    cluster.rows.update((row.agent.agent_id, _copied(row)) for row in snapshot.rows)
    for one in snapshot.running:
        cluster.holdings.update(one.holdings)
    planner = GroupPlanner(snapshot.options, cluster, snapshot.ledgers.copied())
    planner.index.last_chosen.update(snapshot.last_chosen)
    for stance in snapshot.waiting:
        planner.queue.add(stance.session, stance.tries)
    if isinstance(planner.queue, Line):
        planner.queue.resume(
            [one.session.session_id for one in snapshot.waiting if one.is_overtaken],
            [one.session.session_id for one in snapshot.waiting if one.is_aside],
            snapshot.blocker,
        )
        planner.due = snapshot.is_due
    return planner


def _is_in(row: Row, options: GroupOptions) -> bool:
    return row.agent.group == options.name


def _copied(row: Row) -> Row:
    other = Row(row.agent)
    other.reserved = dict(row.reserved)
    other.devices_used = dict(row.devices_used)
    other.kernels = row.kernels
    return other


def _stance(planner: GroupPlanner, entry: Entry) -> Stance:
    tries = planner.queue.tries(entry)
    return Stance(entry.session, tries, entry.overtaken, not entry.lane.is_shown)
