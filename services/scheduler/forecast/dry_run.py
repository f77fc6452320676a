"""Would it start now, and where; else why not, and how many come first."""

from collections.abc import Sequence
from typing import NamedTuple

from services.scheduler.forecast.snapshot import Snapshot, set_up
from services.scheduler.placement.model import Placed, Waiting
from services.scheduler.placement.reasons import Explainer
from shared.contracts.scheduler import Reason


class Waits(NamedTuple):
    """Where a session would stand in the queue, from 1, and why; None: too far behind to tell."""

    position: int | None
    reason: Reason


def dry_run(snapshot: Snapshot, newcomers: Sequence[Waiting]) -> dict[str, Placed | Waits]:
    """Return for every newcomer, by its id, what the next pass makes of it."""
    planner = set_up(snapshot)
    for session in newcomers:
        planner.enqueue(session)
    found: dict[str, Placed | Waits] = {}
    if planner.due:
        outcome = planner.run(limit=len(planner.queue) + 1)
        found.update((placed.session_id, placed) for placed in outcome.placed)
    wanted = {session.session_id for session in newcomers}
    explainer = Explainer(planner)
    for position, entry in enumerate(planner.queue, start=1):
        session_id = entry.session.session_id
        if session_id in wanted:
            place = None if snapshot.left_out else position
            found[session_id] = Waits(place, explainer.reason(entry))
    return {session_id: what for session_id, what in found.items() if session_id in wanted}
