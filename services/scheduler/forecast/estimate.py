"""When waiting sessions will start: placement run ahead in time, several times over.

Each run ahead gives every session another of the run times that are likely for it, and lets others
come as they have come of late. Whoever asks again gets the same: nothing is left to chance.
"""

from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush, merge
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple
from zlib import crc32

from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.run_times import RunTimes
from services.scheduler.forecast.snapshot import Snapshot, set_up
from services.scheduler.placement.model import Waiting
from services.scheduler.placement.planner import GroupPlanner

RUNS: Final = 20
LOW, LIKELY, HIGH = 1, 10, 18  # of 20 runs in order: a further one falls between in 17 of 21
STEPS_MAX: Final = 2_000


class Wait(NamedTuple):
    """For how much longer a session waits, in seconds: an 80 % range and its middle."""

    low_s: float
    likely_s: float
    high_s: float


def waits(
    snapshot: Snapshot,
    newcomers: Sequence[Waiting],
    past: Experience,
    wanted: Collection[str],
    coming: Sequence[tuple[float, Waiting]] = (),
) -> dict[str, Wait]:
    """Return for how long those of `wanted` will wait of which that can be told.

    `newcomers` wait from now on, `coming` are to queue up in so many seconds. `snapshot` must
    have what runs. It costs twenty times what there is to set up and to end.
    """
    if not past.run_times.is_known:
        return {}
    found: dict[str, list[float]] = {session_id: [] for session_id in wanted}
    for run in range(RUNS):
        times = _Times(run, past.run_times)
        ahead = _Ahead(snapshot, newcomers, times, past.arrivals.ahead(run), coming)
        for session_id, at in ahead.starts(set(wanted)):
            found[session_id].append(at)
    told = {}
    for session_id, starts in found.items():
        starts.sort()
        starts.extend([inf] * (RUNS - len(starts)))
        if starts[HIGH] < inf:
            told[session_id] = Wait(starts[LOW], starts[LIKELY], starts[HIGH])
    return told


class _Times:
    """The run times of one run ahead: of each session another part of its range each time."""

    def __init__(self, run: int, run_times: RunTimes) -> None:
        self._run = run
        self._run_times = run_times

    def rest(self, session_id: str, user: str, image: str, elapsed_s: float = 0.0) -> float:
        """Return for how much longer a session runs."""
        # one pair of hashes for each session: where it begins, and in what steps it goes round
        seed = crc32(session_id.encode())
        step = 2 * (crc32(session_id.encode(), 7) % (RUNS // 2)) + 1
        if step % 5 == 0:  # a step that shares no factor with the number of runs meets all parts
            step += 2
        part = ((seed + self._run * step) % RUNS + 0.5) / RUNS
        sketch = self._run_times.of(user, image)
        return max(sketch.quantile(part, elapsed_s) - elapsed_s, 0.0)


class _Ahead:
    """One run ahead on a planner of its own."""

    def __init__(
        self,
        snapshot: Snapshot,
        newcomers: Sequence[Waiting],
        times: _Times,
        arrivals: Iterator[tuple[float, Waiting]],
        coming: Sequence[tuple[float, Waiting]],
    ) -> None:
        self._planner: GroupPlanner = set_up(snapshot)
        expected = sorted(coming, key=itemgetter(0))
        self._arrivals = merge(arrivals, expected, key=itemgetter(0))
        self._expected = {one.session_id for _, one in expected}
        self._times = times
        self._sessions = {one.session.session_id: one.session for one in snapshot.waiting}
        self._sessions.update((one.session_id, one) for one in newcomers)
        self._kernels = {one.session_id: tuple(one.holdings) for one in snapshot.running}
        self._ends = [
            (times.rest(one.session_id, one.user, one.image, one.elapsed_s), one.session_id)
            for one in snapshot.running
        ]
        heapify(self._ends)
        for session in newcomers:
            self._planner.enqueue(session)

    def starts(self, wanted: set[str]) -> Iterator[tuple[str, float]]:
        """Yield who starts when, until all that are wanted have, or it goes on for too long."""
        now = 0.0
        coming = next(self._arrivals, None)
        for _ in range(STEPS_MAX):
            for session_id in self._passes(now):
                if session_id in wanted:
                    wanted.discard(session_id)
                    yield session_id, now
            if not wanted or not (self._ends or self._expected):
                return
            if coming is not None and (not self._ends or coming[0] <= self._ends[0][0]):
                now, session = coming
                self._expected.discard(session.session_id)
                self._sessions[session.session_id] = session
                self._planner.enqueue(session)
                coming = next(self._arrivals, None)
            else:
                now, ended = heappop(self._ends)
                self._end(ended)

    def _passes(self, now: float) -> Iterator[str]:
        """Make the passes that are due now, and those that time brings in the next seconds."""
        planner = self._planner
        for _ in range(planner.options.retries_to_skip * len(planner.queue) + 2):
            if not planner.due:
                if not planner.wants_retry():
                    return
                planner.due = True
            for placed in planner.run(len(planner.queue) + 1).placed:
                session = self._sessions[placed.session_id]
                rest = self._times.rest(placed.session_id, session.user, session.shape.image)
                heappush(self._ends, (now + rest, placed.session_id))
                self._kernels[placed.session_id] = session.kernel_ids
                yield placed.session_id

    def _end(self, session_id: str) -> None:
        planner = self._planner
        for kernel_id in self._kernels.pop(session_id):
            row = planner.cluster.release(kernel_id)
            if row is not None:
                planner.freed(row)
        planner.ledgers.refund(session_id)
