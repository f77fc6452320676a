"""When a person may be erased."""

import msgspec

from services.users.domain import erasure, user
from services.users.domain.erasure import Facts
from shared.contracts.users import (
    EraseUser,
    KeypairDeactivated,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
)
from shared.eventlog.decider import Decider
from shared.testing.spec import given

USER = Decider(user.INITIAL, user.evolve, erasure.decide)
CREATED = UserCreated(
    user_id="u-1",
    email="1.e",
    username="1.u",
    full_name="1.f",
    description="1.d",
    domain="default",
    role="user",
    status="active",
    resource_policy="default",
)
ASLEEP = UserDeactivated(user_id="u-1")
ERASED = UserErased(user_id="u-1")
WISH = EraseUser(user_id="u-1")


def test_a_deactivated_user_is_erased_with_the_keypairs_that_still_work() -> None:
    done = given(USER, CREATED, ASLEEP).when(WISH, Facts(keypairs=("AKIA1", "AKIA2")))
    done.then(
        KeypairDeactivated(access_key="AKIA1", user_id="u-1"),
        KeypairDeactivated(access_key="AKIA2", user_id="u-1"),
        ERASED,
    )
    assert done.state.is_erased
    assert {done.state.username, done.state.full_name, done.state.description} == {""}


def test_a_user_is_erased_once() -> None:
    given(USER, CREATED, ASLEEP, ERASED).when(WISH, Facts()).nothing()


def test_only_a_deactivated_user_is_erased() -> None:
    given(USER).when(WISH, Facts()).rejected("user_not_found")
    waiting = msgspec.structs.replace(CREATED, status="before_verification")
    for happened in ((CREATED,), (waiting,), (CREATED, ASLEEP, UserActivated(user_id="u-1"))):
        refusal = given(USER, *happened).when(WISH, Facts()).rejected("user_active")
        assert refusal.kind == "conflict"


def test_nobody_erases_the_own_account() -> None:
    refusal = given(USER, CREATED, ASLEEP).when(WISH, Facts(is_own=True)).rejected("own_account")
    assert refusal.kind == "forbidden"
