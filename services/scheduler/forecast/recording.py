"""A period of a group's queue as the log has it: who came when, and how long each one ran.

All times are seconds from the beginning of the period; what was before is negative.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from math import inf
from statistics import median
from typing import Final, NamedTuple, TypeAlias

from services.scheduler.domain import resource_group as groups
from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.placement.model import KernelPlace, Waiting
from services.scheduler.waiting_room import held_of
from shared.contracts.base import Event
from shared.contracts.scheduler import (
    ResourceGroupEvent,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionScheduled,
    SessionTerminated,
)

OVER: Final = (SessionTerminated, SessionCancelled, SessionFailed)
_Over: TypeAlias = SessionTerminated | SessionCancelled | SessionFailed


class TooManySessionsError(Exception):
    """More sessions belong to a period than may be replayed."""


class Job(NamedTuple):
    """A session of the period.

    It may wait from `ready_s` on, once all of `after` have ended, which was at `was_ready_s`. It
    had its place from `started_s` (None: never), `places`, and held it for `run_s`, or longer
    when `is_open`. `leaves_s` is when it gave up waiting.
    """

    session: Waiting
    ready_s: float
    was_ready_s: float
    started_s: float | None
    run_s: float
    is_open: bool
    leaves_s: float
    after: tuple[str, ...]
    places: tuple[KernelPlace, ...]

    @property
    def ends_s(self) -> float:
        """Return when it was over as recorded; infinity when that was not seen, or never began."""
        if self.started_s is None or self.is_open:
            return inf
        return self.started_s + self.run_s


class Recording(NamedTuple):
    """What happened in a group for `length_s`; of `jobs` in the order of their age.

    `groups` is how the group was from which moment on; the first one is of the beginning.
    `guessed` is how many run times nobody saw, as those sessions never started.
    """

    length_s: float
    jobs: tuple[Job, ...]
    groups: tuple[tuple[float, ResourceGroup], ...]
    guessed: int


class _Life:
    """What is known so far of a session. `waits_for` are those of others that it depends on."""

    def __init__(self, session: Waiting, ready_s: float, after: tuple[str, ...]) -> None:
        self.session = session
        self.ready_s = self.was_ready_s = ready_s
        self.after = after
        self.waits_for: set[str] = set()
        self.started_s: float | None = None
        self.over_s: float | None = None
        self.places: tuple[KernelPlace, ...] = ()


class Recorder:
    """Folds the log, from its beginning, into the recording of a period of one group.

    `apply` raises TooManySessionsError when there are more than `limit`.
    """

    def __init__(self, group: str, since: datetime, until: datetime, limit: int) -> None:
        self._group = group
        self._since = since
        self._length_s = (until - since).total_seconds()
        self._limit = limit
        self._state: ResourceGroup | None = None
        self._groups: list[tuple[float, ResourceGroup]] = []
        self._turn = 0
        self._live: dict[str, _Life] = {}
        self._elsewhere: set[str] = set()
        self._over: list[_Life] = []
        self._awaited: defaultdict[str, list[_Life]] = defaultdict(list)

    def apply(self, event: Event, at: datetime) -> None:
        """Take in the next event of the log, and when it was recorded."""
        at_s = (at - self._since).total_seconds()
        if isinstance(event, ResourceGroupEvent):
            self._group_event(event, at_s)
        elif isinstance(event, SessionEnqueued):
            if event.resource_group != self._group:
                self._elsewhere.add(event.session_id)
            elif at_s < self._length_s:
                self._came(event, at, at_s)
        elif isinstance(event, SessionScheduled):
            life = self._live.get(event.session_id)
            if life is not None and life.started_s is None:
                life.started_s = at_s
                life.places = tuple(
                    KernelPlace(one.kernel_id, one.agent_id, one.devices)
                    for one in event.placements
                )
        elif isinstance(event, OVER):
            self._ended(event, at_s)

    def is_complete(self, at: datetime) -> bool:
        """Tell whether what follows a moment can't matter: all have ended who came in time."""
        return not self._live and (at - self._since).total_seconds() >= self._length_s

    def finish(self, now: datetime) -> Recording:
        """Return what was recorded, when the log has been read to its end."""
        now_s = (now - self._since).total_seconds()
        lives = sorted((*self._over, *self._live.values()), key=lambda one: one.session.turn)
        kept = {one.session.session_id for one in lives}
        run_times = _RunTimes(lives)
        jobs = tuple(_job(life, kept, now_s, run_times) for life in lives)
        guessed = sum(life.started_s is None for life in lives)
        first = (0.0, ResourceGroup(name=self._group))
        return Recording(self._length_s, jobs, tuple(self._groups) or (first,), guessed)

    def _group_event(self, event: ResourceGroupEvent, at_s: float) -> None:
        if event.name != self._group:
            return
        self._state = groups.evolve(self._state, event)
        if self._state is None or at_s >= self._length_s:
            return
        if at_s <= 0:
            self._groups.clear()
        self._groups.append((max(at_s, 0.0), self._state))

    def _came(self, event: SessionEnqueued, at: datetime, at_s: float) -> None:
        if len(self._live) + len(self._over) >= self._limit:
            raise TooManySessionsError
        self._turn += 1
        # what it depends on is followed here, as that may end at another time in a replay
        held = held_of(event, self._turn, at, frozenset())
        ready_s = at_s
        if held.starts_at is not None:
            ready_s = (held.starts_at - self._since).total_seconds()
        after = tuple(one for one in event.depends_on if one in self._live)
        life = self._live[event.session_id] = _Life(held.waiting, ready_s, after)
        for other in event.depends_on:
            if other in self._live or other in self._elsewhere:
                life.waits_for.add(other)
                self._awaited[other].append(life)

    def _ended(self, event: _Over, at_s: float) -> None:
        self._elsewhere.discard(event.session_id)
        for dependant in self._awaited.pop(event.session_id, ()):
            dependant.waits_for.discard(event.session_id)
            dependant.was_ready_s = max(dependant.was_ready_s, at_s)
            if event.session_id not in dependant.after:
                dependant.ready_s = max(dependant.ready_s, at_s)
        life = self._live.pop(event.session_id, None)
        if life is None or event.reason == "dependency-failed":
            return  # of another group or time, or it could never start whatever the scheduler
        life.over_s = at_s
        if at_s > 0:
            self._over.append(life)


class _RunTimes:
    """How long sessions ran that were seen to end: what is guessed of those that never started."""

    def __init__(self, lives: Iterable[_Life]) -> None:
        seen: defaultdict[str, list[float]] = defaultdict(list)
        for life in lives:
            if life.started_s is not None and life.over_s is not None:
                seen[life.session.user].append(life.over_s - life.started_s)
        self._of_user = {user: median(times) for user, times in seen.items()}
        everything = [one for times in seen.values() for one in times]
        self._of_all = median(everything) if everything else None

    def guess(self, user: str) -> float | None:
        """Return the median of a user's, or of everybody's; None when none was seen."""
        return self._of_user.get(user, self._of_all)


def _job(life: _Life, kept: set[str], now_s: float, run_times: _RunTimes) -> Job:
    after = tuple(one for one in life.after if one in kept)
    is_open = False
    if life.started_s is None:
        guess = run_times.guess(life.session.user)
        run_s, is_open = (0.0, True) if guess is None else (guess, False)
    elif life.over_s is None:
        run_s, is_open = max(now_s - life.started_s, 0.0), True
    else:
        run_s = max(life.over_s - life.started_s, 0.0)
    is_stayer = life.over_s is None or life.started_s is not None
    was_ready_s = inf if life.waits_for else life.was_ready_s
    return Job(
        session=life.session,
        ready_s=life.ready_s if after and life.waits_for <= kept else was_ready_s,
        was_ready_s=was_ready_s,
        started_s=life.started_s,
        run_s=run_s,
        is_open=is_open,
        leaves_s=inf if is_stayer or life.over_s is None else life.over_s,
        after=after,
        places=life.places,
    )
