"""When an address is locked, and for how long."""

from datetime import UTC, datetime, timedelta

from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain.lockout import (
    FAILURES_MAX,
    LOCK_S,
    NONE,
    Attempts,
    failed,
    locked_for_s,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def wrong(times: int, attempts: Attempts = NONE, now: datetime = NOON) -> Attempts:
    for _ in range(times):
        attempts = failed(attempts, now)
    return attempts


def test_ten_wrong_guesses_in_a_row_lock_an_address_for_twenty_minutes() -> None:
    attempts = wrong(FAILURES_MAX - 1)
    assert locked_for_s(attempts, NOON) == 0
    attempts = failed(attempts, NOON)
    assert locked_for_s(attempts, NOON) == LOCK_S
    assert attempts.until == NOON + timedelta(seconds=LOCK_S)
    assert locked_for_s(attempts, NOON + timedelta(seconds=LOCK_S - 1)) == 1
    assert locked_for_s(attempts, attempts.until) == 0


def test_after_the_lock_it_takes_ten_again() -> None:
    attempts = wrong(FAILURES_MAX)
    again = failed(attempts, attempts.until)
    assert again == Attempts(1, attempts.until)
    assert locked_for_s(again, attempts.until) == 0


@for_all(gaps=st.lists(st.integers(0, 2 * LOCK_S), max_size=60))
def test_a_lock_comes_of_ten_guesses_of_which_none_was_forgotten(gaps: list[int]) -> None:
    now, attempts, row = NOON, NONE, 0
    for gap in gaps:
        now += timedelta(seconds=gap)
        if locked_for_s(attempts, now) > 0:
            continue
        row = 1 if gap >= LOCK_S or now >= attempts.until else row + 1
        attempts = failed(attempts, now)
        assert (locked_for_s(attempts, now) > 0) == (row >= FAILURES_MAX)
        assert attempts.failures <= FAILURES_MAX
