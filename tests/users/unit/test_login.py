"""Who gets a log-in session, and how it ends."""

from datetime import UTC, datetime

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain import login
from services.users.domain.login import Code, StartLogin, Visitor, is_wrong_guess
from services.users.domain.user import User
from shared.contracts.users import LoginEnded, LoginStarted, LogOut, UserStatus
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.testing.spec import given

LOGIN = Decider(login.INITIAL, login.evolve, login.decide)
EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
KIM = User(user_id="u-1", domain="default", role="user", status="active")
START = StartLogin(login_id="l-1", token_hash="ab", expires_at=EXPIRES)
STARTED = LoginStarted(login_id="l-1", user_id="u-1", token_hash="ab", expires_at=EXPIRES)
END = LogOut(login_id="l-1", user_id="u-1")
ENDED = LoginEnded(login_id="l-1", user_id="u-1", reason="logout")


def visitor(person: User = KIM, *, knows: bool = True, code: Code = "not_needed") -> Visitor:
    return Visitor(user=person, password_is_right=knows, code=code)


@pytest.mark.parametrize("code", ["not_needed", "right"])
def test_an_active_user_gets_a_session(code: Code) -> None:
    given(LOGIN).when(START, visitor(code=code)).then(STARTED)


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (None, "invalid_credentials"),
        (visitor(knows=False), "invalid_credentials"),
        (visitor(User()), "invalid_credentials"),
        (visitor(User(user_id="u-1", status="inactive")), "invalid_credentials"),
        (visitor(User(user_id="u-1", status="before_verification")), "verification_needed"),
        (visitor(code="absent"), "otp_required"),
        (visitor(code="wrong"), "otp_invalid"),
    ],
)
def test_nobody_else_gets_a_session(who: Visitor | None, code: str) -> None:
    refusal = given(LOGIN).when(START, who).rejected(code)
    assert refusal.kind == "unauthenticated"


STATUSES: tuple[UserStatus, ...] = ("active", "inactive", "before_verification")
CODES: tuple[Code, ...] = ("not_needed", "absent", "wrong", "right")


@for_all(status=st.sampled_from(STATUSES), one=st.sampled_from(CODES), two=st.sampled_from(CODES))
def test_whoever_does_not_know_the_password_learns_nothing(
    status: UserStatus, one: Code, two: Code
) -> None:
    known = User(user_id="u-1", status=status)
    stranger = login.decide(login.INITIAL, START, visitor(User(), knows=False))
    for code in (one, two):
        told = login.decide(login.INITIAL, START, visitor(known, knows=False, code=code))
        assert told == stranger


@for_all(knows=st.booleans(), code=st.sampled_from(CODES))
def test_an_inactive_user_learns_nothing_and_every_guess_counts(knows: bool, code: Code) -> None:  # noqa: FBT001  # drawn
    idle = User(user_id="u-1", status="inactive")
    told = login.decide(login.INITIAL, START, visitor(idle, knows=knows, code=code))
    assert isinstance(told, Rejection)
    assert told.code == "invalid_credentials"
    assert is_wrong_guess(told)


@pytest.mark.parametrize("code", ["otp_required", "verification_needed"])
def test_being_told_what_is_missing_is_no_guess(code: str) -> None:
    assert not is_wrong_guess(Rejection(kind="unauthenticated", code=code, message=""))


def test_a_session_starts_once() -> None:
    given(LOGIN, STARTED).when(START, visitor()).rejected("login_exists")


def test_a_session_ends_once() -> None:
    given(LOGIN, STARTED).when(END, None).then(ENDED)
    given(LOGIN, STARTED, ENDED).when(END, None).nothing()


def test_only_its_user_ends_a_session() -> None:
    other = LogOut(login_id="l-1", user_id="u-2")
    given(LOGIN, STARTED).when(other, None).rejected("login_not_found")


def test_an_absent_session_does_not_end() -> None:
    given(LOGIN).when(END, None).rejected("login_not_found")
