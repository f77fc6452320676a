from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.auth.rate_limits import EXACT_MAX, WINDOW_S, RateLimits
from services.gateway.auth.windows import COARSE_S, Tally


def test_exactly_the_limit_passes_and_the_next_one_is_told_when_to_come_back():
    limits = RateLimits()
    for second in range(3):
        assert limits.take("AK", 3, 100.0 + second).rejection is None
    refused = limits.take("AK", 3, 103.0)
    assert refused.rejection is not None
    assert refused.rejection.retry_after_s == WINDOW_S - 3
    assert refused.remaining == 0
    assert limits.take("AK", 3, 100.0 + WINDOW_S).rejection is None


def test_what_is_left_is_counted_down_and_comes_back_as_the_first_leaves_the_window():
    limits = RateLimits()
    assert [limits.take("AK", 3, float(second)).remaining for second in range(3)] == [2, 1, 0]
    assert limits.take("AK", 3, 3.0).rejection is not None
    assert limits.take("AK", 3, WINDOW_S - 0.5).rejection is not None
    passes = limits.take("AK", 3, WINDOW_S + 0.5)
    assert (passes.rejection, passes.remaining) == (None, 0)
    assert limits.take("AK", 3, WINDOW_S + 0.75).rejection is not None


def test_a_refused_request_does_not_count():
    limits = RateLimits()
    limits.take("AK", 1, 0.0)
    for second in range(1, 50):
        assert limits.take("AK", 1, float(second)).rejection is not None
    assert limits.take("AK", 1, float(WINDOW_S)).rejection is None


def test_zero_refuses_everything_and_none_nothing():
    limits = RateLimits()
    refused = limits.take("ZERO", 0, 0.0).rejection
    assert refused is not None
    assert refused.retry_after_s == WINDOW_S
    for _ in range(1000):
        assert limits.take("FREE", None, 0.0).rejection is None
    assert limits.take("FREE", None, 0.0).remaining is None


def test_keys_do_not_share_a_window():
    limits = RateLimits()
    limits.take("A", 1, 0.0)
    assert limits.take("B", 1, 0.0).rejection is None


def test_a_limit_that_is_lowered_or_raised_holds_for_the_next_request():
    limits = RateLimits()
    for second in range(10):
        limits.take("AK", 10, float(second))
    refused = limits.take("AK", 4, 10.0).rejection
    assert refused is not None
    # seven of the ten must age out before the fourth of four is free
    assert refused.retry_after_s == WINDOW_S + 6 - 10
    assert limits.take("AK", 11, 10.0).rejection is None
    assert limits.take("AK", None, 10.0).rejection is None


@given(st.lists(st.floats(0, 600), max_size=60), st.integers(1, 10))
def test_no_window_ever_holds_more_than_the_limit(gaps, limit):
    limits = RateLimits()
    now, accepted = 0.0, []
    for gap in gaps:
        now += gap
        allowance = limits.take("AK", limit, now)
        if allowance.rejection is None:
            accepted.append(now)
        within = [moment for moment in accepted if moment > now - WINDOW_S]
        assert len(within) <= limit
        assert limits.used("AK", now) == len(within)
        if allowance.rejection is not None:
            retry_after_s = allowance.rejection.retry_after_s
            oldest = within[0] + WINDOW_S - now
            assert oldest - 1e-6 <= retry_after_s <= max(1, oldest + 1 + 1e-6)


@given(
    st.lists(st.tuples(st.floats(0, 400), st.integers(1, 5)), max_size=80),
    st.sampled_from([0.0, COARSE_S, 30.0]),
)
def test_a_tally_counts_what_a_plain_list_counts_and_never_less(steps, resolution_s):
    tally, plain, now = Tally(), [], 0.0
    for gap, count in steps:
        now += gap
        tally.add(now, count, resolution_s)
        plain += [now] * count
        exact = sum(moment > now - WINDOW_S for moment in plain)
        late = sum(moment > now - WINDOW_S - resolution_s for moment in plain)
        assert exact <= tally.count(now) <= late
        if not resolution_s:
            for horizon in (now - 800, now - 400, now):
                aged = sum(now - WINDOW_S < moment <= horizon for moment in plain)
                assert tally.aged_by(horizon) == aged


def test_a_busy_key_without_a_limit_takes_bounded_room():
    limits = RateLimits()
    for number in range(200_000):
        limits.take("FREE", None, number * 0.01)
    window = limits._windows["FREE"]
    exact = int(WINDOW_S / 0.01) - 1
    assert exact <= limits.used("FREE", 2_000.0) <= exact + COARSE_S / 0.01
    assert len(window.own) <= 2 * WINDOW_S / COARSE_S + 2_048


def test_above_the_exact_range_nothing_more_is_let_in():
    limits, limit = RateLimits(), EXACT_MAX + 1
    taken = sum(limits.take("AK", limit, 0.001 * n).rejection is None for n in range(limit + 50))
    assert taken == limit
    assert limits.take("AK", limit, WINDOW_S + COARSE_S).rejection is None


def test_idle_keys_are_forgotten():
    limits = RateLimits(keys_max=4)
    for number in range(50):
        limits.take(f"AK{number}", 5, number * 2.0 * WINDOW_S)
    assert limits.used("AK0", 100.0 * WINDOW_S) == 0
    assert len(limits._windows) <= 5


def test_the_number_of_keys_is_bounded_even_when_all_are_busy():
    limits = RateLimits(keys_max=100)
    for number in range(1_000):
        limits.take(f"AK{number}", 5, number * 0.001)
    assert len(limits._windows) <= 101


def test_a_burst_is_told_once_and_the_next_one_again():
    told = []
    limits = RateLimits(on_refuse=lambda *burst: told.append(burst))
    limits.take("AK", 1, 0.0)
    assert told == []
    for second in range(1, 800):
        limits.take("AK", 1, float(second))
    assert told == [("AK", 1)]
    assert limits.take("AK", 1, 900.0).rejection is None
    limits.take("AK", 1, 900.5)
    assert told == [("AK", 1)]
    limits.take("AK", 1, 901.0)
    assert told == [("AK", 1)] * 2


def test_a_refused_key_is_not_forgotten_in_the_middle_of_its_burst():
    told = []
    limits = RateLimits(on_refuse=lambda *burst: told.append(burst))
    for number in range(100):
        limits.take("ZERO", 0, float(number))
        limits.take(f"AK{number}", 5, float(number))
    assert told == [("ZERO", 0)]


def test_accepted_requests_are_told_with_what_is_left():
    told = []
    limits = RateLimits(on_accept=lambda *use: told.append(use))
    for _ in range(3):
        limits.take("AK", 2, 0.0)
    limits.take("FREE", None, 0.0)
    assert told == [("AK", 1), ("AK", 0), ("FREE", None)]


def test_what_others_accepted_counts_for_900_seconds():
    limits = RateLimits()
    limits.hear("AK", 4, 10.0)
    assert limits.take("AK", 5, 20.0).remaining == 0
    refused = limits.take("AK", 5, 20.0).rejection
    assert refused is not None
    assert refused.retry_after_s == WINDOW_S - 10
    assert limits.take("AK", 5, 10.0 + WINDOW_S).remaining == 3


def test_what_was_stored_replaces_what_was_heard_where_it_is_more():
    limits = RateLimits()
    limits.hear("MISSED", 2, 1_000.0)
    limits.hear("HEARD", 5, 1_000.0)
    limits.restore({"MISSED": [(3.0, 4), (890.0, 3)], "HEARD": [(1.5, 4)]}, 1_001.0)
    assert limits.used("MISSED", 1_001.0) == 7
    assert limits.used("MISSED", 1_012.0) == 4
    assert limits.used("HEARD", 1_001.0) == 5
    limits.restore({"NEW": [(-0.5, 1), (899.0, 2), (901.0, 9)]}, 1_001.0)
    assert limits.used("NEW", 1_001.0) == 3


def test_the_last_use_is_remembered():
    limits, at = RateLimits(), datetime(2026, 1, 1, tzinfo=UTC)
    limits.touch("AK", at)
    assert limits.last_used_at("AK") is None
    limits.take("AK", 1, 0.0)
    limits.touch("AK", at)
    assert limits.last_used_at("AK") == at
