"""Changing one's own password."""

import msgspec

from services.users.domain import password, user
from services.users.domain.password import PasswordFacts
from shared.contracts.users import (
    ChangeOwnPassword,
    UserErased,
    UserFlagsChanged,
    UserPasswordSet,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import FieldError
from shared.testing.spec import given
from tests.users.unit.test_totp import KIM

PASSWORD = Decider(user.INITIAL, user.evolve, password.decide)
CHANGE = ChangeOwnPassword(user_id="u-1", sealed_old="1.o", sealed_new="1.n")
ASKED = msgspec.structs.replace(KIM, password_change_required=True)
SET = UserPasswordSet(user_id="u-1", by="self")
DONE = UserFlagsChanged(user_id="u-1", password_change_required=False)
RIGHT = PasswordFacts(old_is_right=True)


def test_the_old_password_gives_a_new_one() -> None:
    given(PASSWORD, KIM).when(CHANGE, RIGHT).then(SET)


def test_a_change_that_was_asked_for_is_done_and_not_asked_for_again() -> None:
    given(PASSWORD, ASKED).when(CHANGE, RIGHT).then(SET, DONE)
    given(PASSWORD, ASKED, SET, DONE).when(CHANGE, RIGHT).then(SET)
    later = UserFlagsChanged(user_id="u-1", password_change_required=True)
    given(PASSWORD, KIM, later).when(CHANGE, RIGHT).then(SET, DONE)
    other = UserFlagsChanged(user_id="u-1", sudo_session_enabled=True)
    given(PASSWORD, ASKED, other).when(CHANGE, RIGHT).then(SET, DONE)


def test_a_wrong_old_password_is_refused_whatever_the_new_one_is() -> None:
    for is_same in (False, True):
        facts = PasswordFacts(old_is_right=False, is_same=is_same)
        refusal = given(PASSWORD, ASKED).when(CHANGE, facts).rejected("old_password_wrong")
        assert [error.field for error in refusal.errors] == ["old"]


def test_the_old_password_is_no_new_one() -> None:
    facts = PasswordFacts(old_is_right=True, is_same=True)
    refusal = given(PASSWORD, ASKED).when(CHANGE, facts).rejected("same_password")
    assert [error.field for error in refusal.errors] == ["new"]


def test_a_weak_password_is_refused_before_the_old_one_is_looked_at() -> None:
    weak = FieldError("new", "too_short", "A password needs 8 characters or more.")
    refusal = given(PASSWORD, KIM).when(CHANGE, PasswordFacts(error=weak)).rejection
    assert refusal.errors == (weak,)


def test_nobody_and_erased_persons_have_none() -> None:
    given(PASSWORD).when(CHANGE, RIGHT).rejected("user_not_found")
    erased = UserErased(user_id="u-1")
    given(PASSWORD, KIM, erased).when(CHANGE, RIGHT).rejected("user_erased")
