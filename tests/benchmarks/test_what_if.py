"""How fast a recorded period is replayed, under each scheduler, and what that would come to."""

import random
import time

import pytest

from services.scheduler.forecast.fleet import capacity
from services.scheduler.forecast.metrics import figures
from services.scheduler.forecast.replay import Rules, replay
from shared.contracts.scheduler import Variation
from tests.scheduler.unit.recordings import GROUP, agent, changes, job, recording

SESSIONS = 4_000
SESSIONS_MAX = 100_000
AGENTS = 50
USERS = 200
MEAN_RUN_S = 120.0
LOAD = 1.0  # as much is asked for as there is, so that there is a queue
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def busy_period():
    """Return a period in which users of very different diligence submit sessions."""
    chance = random.Random(1)  # a trace, not a secret
    pause_s = 3.0 * MEAN_RUN_S / (AGENTS * 32 * LOAD)
    now_s, jobs = 0.0, []
    for turn in range(SESSIONS):
        now_s += chance.expovariate(1 / pause_s)
        cpus, run_s = chance.choice((1, 1, 2, 2, 4, 8)), chance.expovariate(1 / MEAN_RUN_S)
        user = f"u{int(chance.random() ** 2 * USERS)}"
        jobs.append(job(turn, now_s, run_s, cpus, user=user, scopes=(f"keypair:{user}",)))
    return recording(*jobs, length_s=now_s + 1.0)


def test_a_period_is_replayed_much_faster_than_it_went_by(capsys):
    found = busy_period()
    agents = changes(*(agent(f"a{number:03}", cpus=32) for number in range(AGENTS)))
    there = capacity(agents, GROUP, found.length_s)
    lines = []
    for scheduler in ("fifo", "lifo", "drf"):
        began = time.perf_counter()
        stays = replay(found, agents, Rules({}), Variation(scheduler=scheduler))
        spent_s = time.perf_counter() - began
        told = figures(found, stays, there)
        assert told.sessions == SESSIONS
        assert told.started + told.still_waiting == SESSIONS
        lines.append(
            f"{scheduler}: {SESSIONS / spent_s:,.0f} sessions/s "
            f"({SESSIONS_MAX / SESSIONS * spent_s:.0f} s for {SESSIONS_MAX:,}); mean wait "
            f"{told.waiting.mean_s:.0f} s, 95 % {told.waiting.p95_s:.0f} s, Jain "
            f"{told.fairness:.3f}, cpu {told.utilisation['cpu']:.0%}"
        )
    with capsys.disabled():
        print("\nreplayed " + "\nreplayed ".join(lines))  # noqa: T201  # what this is for
