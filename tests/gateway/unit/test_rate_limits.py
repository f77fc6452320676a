from hypothesis import given
from hypothesis import strategies as st

from services.gateway.auth.rate_limits import WINDOW_S, RateLimits


def test_exactly_the_limit_passes_and_the_next_one_is_told_when_to_come_back():
    limits = RateLimits()
    for second in range(3):
        assert limits.take("AK", 3, 100.0 + second).rejection is None
    refused = limits.take("AK", 3, 103.0)
    assert refused.rejection is not None
    assert refused.rejection.retry_after_s == WINDOW_S - 3
    assert refused.remaining == 0
    assert limits.take("AK", 3, 100.0 + WINDOW_S).rejection is None


def test_a_refused_request_does_not_count():
    limits = RateLimits()
    limits.take("AK", 1, 0.0)
    for second in range(1, 50):
        assert limits.take("AK", 1, float(second)).rejection is not None
    assert limits.take("AK", 1, float(WINDOW_S)).rejection is None


def test_zero_refuses_everything_and_none_nothing():
    limits = RateLimits()
    assert limits.take("ZERO", 0, 0.0).rejection is not None
    for _ in range(1000):
        assert limits.take("FREE", None, 0.0).rejection is None
    assert limits.take("FREE", None, 0.0).remaining is None


def test_keys_do_not_share_a_window():
    limits = RateLimits()
    limits.take("A", 1, 0.0)
    assert limits.take("B", 1, 0.0).rejection is None


@given(st.lists(st.floats(0, 600), max_size=60), st.integers(1, 10))
def test_no_window_ever_holds_more_than_the_limit(gaps, limit):
    limits = RateLimits()
    now, accepted = 0.0, []
    for gap in gaps:
        now += gap
        if limits.take("AK", limit, now).rejection is None:
            accepted.append(now)
        within = [moment for moment in accepted if moment > now - WINDOW_S]
        assert len(within) <= limit
        assert limits.used("AK", now) == len(within)


def test_idle_keys_are_forgotten():
    limits = RateLimits(keys_max=4)
    for number in range(50):
        limits.take(f"AK{number}", 5, number * 2.0 * WINDOW_S)
    assert limits.used("AK0", 100.0 * WINDOW_S) == 0
    assert len(limits._windows) <= 5
