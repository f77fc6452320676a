"""What a replay is judged by: waiting times, fairness, and how well the agents were used.

Fairness is Jain's index (R. Jain, D. Chiu, W. Hawe: A Quantitative Measure of Fairness and
Discrimination, DEC-TR-301, 1984) of the users' mean bounded slowdown. Slowdown is the time that a
session took over the time that it ran, with run times below ten seconds taken for ten, so that
the shortest don't outweigh all others (D. Feitelson et al.: Theory and Practice in Parallel Job
Scheduling, 1997). It is 1 for who never waits, so the index exists even then; of mere waiting
times, which may be 0, it would not.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, inf
from typing import Final, NamedTuple

from services.scheduler.forecast.recording import Job, Recording
from services.scheduler.forecast.replay import Stay
from shared.contracts.scheduler import ReplayFigures, UserWaits, WaitingTimes

USERS_TOLD: Final = 20
SHORT_S: Final = 10.0


class _Wait(NamedTuple):
    user: str
    waited_s: float
    slowdown: float


def figures(
    recording: Recording, stays: Mapping[str, Stay], capacity: Mapping[str, float]
) -> ReplayFigures:
    """Return what stays come to; `capacity` is in slots times seconds."""
    length_s = recording.length_s
    waits: list[_Wait] = []
    started = gave_up = 0
    for job in recording.jobs:
        stay = stays.get(job.session.session_id)
        if stay is None or not 0 <= stay.ready_s < length_s:
            continue
        until_s = length_s
        if stay.started_s is not None:
            started, until_s = started + 1, stay.started_s
        elif job.leaves_s < length_s:
            gave_up, until_s = gave_up + 1, job.leaves_s
        waited_s = max(until_s - stay.ready_s, 0.0)
        slowdown = max((waited_s + job.run_s) / max(job.run_s, SHORT_S), 1.0)
        waits.append(_Wait(job.session.user, waited_s, slowdown))
    users = _users(waits)
    return ReplayFigures(
        sessions=len(waits),
        started=started,
        gave_up=gave_up,
        still_waiting=len(waits) - started - gave_up,
        waiting=waiting_times([one.waited_s for one in waits]),
        fairness=jain([one.slowdown for one in users]),
        users_total=len(users),
        users=tuple(users[:USERS_TOLD]),
        utilisation=_utilisation(recording, stays, capacity),
    )


def jain(shares: Sequence[float]) -> float | None:
    """Return Jain's index of positive numbers: from 1/n, all is borne by one, to 1, all equal."""
    if not shares:
        return None
    return sum(shares) ** 2 / (len(shares) * sum(one * one for one in shares))


def waiting_times(waits: Iterable[float]) -> WaitingTimes | None:
    """Return the mean and the quantiles, by nearest rank; None of nothing."""
    ordered = sorted(waits)
    if not ordered:
        return None
    return WaitingTimes(
        mean_s=sum(ordered) / len(ordered),
        p50_s=_quantile(ordered, 50),
        p95_s=_quantile(ordered, 95),
        max_s=ordered[-1],
    )


def _quantile(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1]


def _users(waits: Iterable[_Wait]) -> list[UserWaits]:
    """Return how each user fared, those with the most sessions first."""
    of_user: defaultdict[str, list[_Wait]] = defaultdict(list)
    for one in waits:
        of_user[one.user].append(one)
    found = []
    for user, mine in of_user.items():
        waiting = waiting_times(one.waited_s for one in mine)
        if waiting is not None:
            slowdown = sum(one.slowdown for one in mine) / len(mine)
            found.append(
                UserWaits(user_id=user, sessions=len(mine), waiting=waiting, slowdown=slowdown)
            )
    return sorted(found, key=lambda one: (-one.sessions, one.user_id))


def _utilisation(
    recording: Recording, stays: Mapping[str, Stay], capacity: Mapping[str, float]
) -> dict[str, float]:
    used: defaultdict[str, float] = defaultdict(float)
    for job in recording.jobs:
        stay = stays.get(job.session.session_id)
        if stay is not None and stay.started_s is not None:
            held_s = _held_s(job, stay.started_s, recording.length_s)
            for slot, amount in job.session.shape.total():
                used[slot] += amount * held_s
    return {slot: used[slot] / there for slot, there in sorted(capacity.items()) if there > 0}


def _held_s(job: Job, started_s: float, length_s: float) -> float:
    """Return for how long of the period a session had its place."""
    ends_s = inf if job.is_open else started_s + job.run_s
    return max(min(ends_s, length_s) - max(started_s, 0.0), 0.0)
