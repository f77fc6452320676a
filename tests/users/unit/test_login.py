"""Who gets a log-in session, how it ends, and when an address is locked."""

from datetime import UTC, datetime

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.attempts import FailedLogins
from services.users.domain import login
from services.users.domain.lockout import FAILURES_MAX, LOCK_S
from services.users.domain.login import StartLogin
from services.users.domain.user import User
from shared.contracts.users import LoginEnded, LoginStarted, LogOut
from shared.eventlog.decider import Decider
from shared.testing.clock import FakeClock
from shared.testing.spec import given

LOGIN = Decider(login.INITIAL, login.evolve, login.decide)
EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
KIM = User(user_id="u-1", domain="default", role="user", status="active")
START = StartLogin(login_id="l-1", token_hash="ab", expires_at=EXPIRES)
STARTED = LoginStarted(login_id="l-1", user_id="u-1", token_hash="ab", expires_at=EXPIRES)
END = LogOut(login_id="l-1", user_id="u-1")
ENDED = LoginEnded(login_id="l-1", user_id="u-1", reason="logout")


def test_an_active_user_gets_a_session() -> None:
    given(LOGIN).when(START, KIM).then(STARTED)


@pytest.mark.parametrize(
    ("person", "code"),
    [
        (None, "invalid_credentials"),
        (User(), "invalid_credentials"),
        (User(user_id="u-1", status="inactive"), "invalid_credentials"),
        (User(user_id="u-1", status="before_verification"), "verification_needed"),
    ],
)
def test_nobody_else_gets_a_session(person: User | None, code: str) -> None:
    given(LOGIN).when(START, person).rejected(code)


def test_a_session_starts_once() -> None:
    given(LOGIN, STARTED).when(START, KIM).rejected("login_exists")


def test_a_session_ends_once() -> None:
    given(LOGIN, STARTED).when(END, None).then(ENDED)
    given(LOGIN, STARTED, ENDED).when(END, None).nothing()


def test_only_its_user_ends_a_session() -> None:
    other = LogOut(login_id="l-1", user_id="u-2")
    given(LOGIN, STARTED).when(other, None).rejected("login_not_found")


def test_an_absent_session_does_not_end() -> None:
    given(LOGIN).when(END, None).rejected("login_not_found")


def test_ten_wrong_passwords_in_a_row_lock_an_address_for_twenty_minutes(
    fake_clock: FakeClock,
) -> None:
    failed = FailedLogins(fake_clock)
    for _ in range(FAILURES_MAX - 1):
        failed.add("kim")
    assert failed.locked_for_s("kim") == 0
    failed.add("kim")
    assert failed.locked_for_s("kim") == LOCK_S
    assert failed.locked_for_s("lee") == 0
    fake_clock.advance(LOCK_S - 1)
    assert failed.locked_for_s("kim") == 1
    fake_clock.advance(1)
    assert failed.locked_for_s("kim") == 0
    failed.add("kim")
    assert failed.locked_for_s("kim") == 0


def test_a_right_password_clears_the_count(fake_clock: FakeClock) -> None:
    failed = FailedLogins(fake_clock)
    for _ in range(FAILURES_MAX - 1):
        failed.add("kim")
    failed.clear("kim")
    failed.add("kim")
    assert failed.locked_for_s("kim") == 0


@for_all(addresses=st.lists(st.integers(0, 9), max_size=60))
def test_the_memory_of_wrong_passwords_is_bounded(addresses: list[int]) -> None:
    failed = FailedLogins(FakeClock(), capacity=3)
    for address in addresses:
        failed.add(str(address))
    locked = [n for n in range(10) if failed.locked_for_s(str(n))]
    assert len(locked) <= 3
