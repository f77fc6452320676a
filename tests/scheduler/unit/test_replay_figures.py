"""What replays are judged by, and what notes say about them."""

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.forecast.comparison import Question, compare
from services.scheduler.forecast.metrics import figures, jain, waiting_times
from services.scheduler.forecast.replay import Rules, Stay
from shared.contracts.scheduler import Variation, WaitingTimes
from tests.scheduler.unit.recordings import GROUP, agent, changes, held, job, recording

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SHARES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50)


def test_jains_index_tells_equal_shares_from_shares_of_one():
    assert jain([]) is None
    assert jain([3.0] * 7) == pytest.approx(1.0)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([1.0, 2.0, 3.0]) == pytest.approx(36 / 42)


@given(SHARES, st.floats(0.1, 10.0))
def test_jains_index_lies_between_one_nth_and_one_and_knows_no_unit(shares, factor):
    found = jain(shares)
    assert 1 / len(shares) - 1e-9 <= found <= 1 + 1e-9
    assert jain([factor * one for one in shares]) == pytest.approx(found)


def test_quantiles_are_by_nearest_rank():
    assert waiting_times([]) is None
    assert waiting_times([5.0]) == WaitingTimes(mean_s=5.0, p50_s=5.0, p95_s=5.0, max_s=5.0)
    hundred = waiting_times(float(number) for number in range(100, 0, -1))
    assert hundred == WaitingTimes(mean_s=50.5, p50_s=50.0, p95_s=95.0, max_s=100.0)


def test_only_who_came_in_the_period_counts_and_whoever_waits_on_counts_till_its_end():
    found = recording(
        held(1, -10.0, 60.0, 2),
        job(2, -5.0, 10.0, 1),
        job(3, 0.0, 20.0, 1, user="u2"),
        job(4, 10.0, 20.0, 1, user="u2"),
        job(5, 40.0, 20.0, 1, user="u3"),
        job(6, 60.0, 5.0, 1, user="u3", leaves_s=80.0),
        length_s=100.0,
    )
    stays = {
        "s1": Stay(-10.0, -10.0),
        "s2": Stay(-5.0, 0.0),
        "s3": Stay(0.0, 0.0),
        "s4": Stay(10.0, 90.0),
        "s5": Stay(40.0, None),
        "s6": Stay(60.0, None),
    }
    told = figures(found, stays, {"cpu": 4000 * 100.0, "mem": 0.0})
    assert (told.sessions, told.started, told.gave_up, told.still_waiting) == (4, 2, 1, 1)
    # they waited 0, 80, 60 and 20 seconds
    assert told.waiting == WaitingTimes(mean_s=40.0, p50_s=20.0, p95_s=80.0, max_s=80.0)
    assert [(one.user_id, one.sessions) for one in told.users] == [("u2", 2), ("u3", 2)]
    # (1 + 5) / 2 and, as less than ten seconds are taken for ten, (4 + 2.5) / 2
    assert [one.slowdown for one in told.users] == [3.0, 3.25]
    assert told.fairness == pytest.approx(jain([3.0, 3.25]))
    # 2 CPUs for 50 s and one each for 10, 20 and 10 s of what could have been 400 CPU seconds
    assert told.utilisation == {"cpu": pytest.approx((2 * 50 + 10 + 20 + 10) / 400)}


def test_a_comparison_has_all_three_and_says_what_is_not_exact():
    jobs = (
        held(1, -10.0, 60.0, 4),
        job(2, -5.0, 10.0, 4, started_s=50.0),
        job(3, 20.0, 30.0, 4, started_s=61.0),
        job(4, 95.0, 1.0, 4, is_open=True),
        job(5, -7.0, 1.0, 4, leaves_s=1.0, was_ready_s=-7.0),
    )
    found = recording(*jobs, length_s=100.0, retries_to_skip=0)._replace(guessed=2)
    parts = []
    question = Question(
        group=GROUP,
        since=SINCE,
        until=SINCE + timedelta(seconds=100),
        agents=changes(agent()),
        agents_known_since=SINCE + timedelta(seconds=1),
        rules=Rules({}),
        variation=Variation(add_agents=1),
    )
    told = compare(question, found, parts.append)
    assert (told.agents, told.agents_what_if) == (1, 2)
    assert (told.running_before, told.waiting_before) == (1, 2)
    assert [one.waiting.mean_s for one in (told.recorded, told.replayed, told.what_if)] == [
        pytest.approx((41 + 5) / 2),
        pytest.approx((40 + 0) / 2),
        0.0,
    ]
    assert (told.recorded.still_waiting, told.replayed.still_waiting) == (1, 0)
    assert [note.code for note in told.notes] == [
        "limits-as-now",
        "other-groups-left-out",
        "agents-not-known",
        "run-times-guessed",
        "waits-cut-off",
    ]
    assert compare(question, found) == told
    assert jobs[4].ends_s == inf
