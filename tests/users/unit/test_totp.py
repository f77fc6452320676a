"""One-time passwords of a user: off, drawn, on, and off again."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain import totp, user
from services.users.domain.totp import ShownCode
from shared.contracts.users import (
    BeginTotp,
    ConfirmTotp,
    RemoveTotp,
    UserCreated,
    UserErased,
    UsersEvent,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.testing.spec import given

TOTP = Decider(user.INITIAL, user.evolve, totp.decide)
KIM = UserCreated(
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
BEGIN = BeginTotp(user_id="u-1")
CONFIRM = ConfirmTotp(user_id="u-1", code="123456")
REMOVE = RemoveTotp(user_id="u-1", code="123456")
ON = UserTotpEnabled(user_id="u-1")
OFF = UserTotpDisabled(user_id="u-1", by="self")
BY_ADMIN = UserTotpDisabled(user_id="u-1", by="administrator")
RIGHT, WRONG, NO_SEED = ShownCode(True, 7), ShownCode(True, None), ShownCode()  # noqa: FBT003


def test_drawing_a_seed_changes_nothing_yet() -> None:
    given(TOTP, KIM).when(BEGIN, NO_SEED).nothing()


def test_a_right_code_switches_them_on_and_another_one_off() -> None:
    given(TOTP, KIM).when(CONFIRM, RIGHT).then(ON)
    given(TOTP, KIM, ON).when(REMOVE, RIGHT).then(OFF)


@pytest.mark.parametrize("command", [BEGIN, CONFIRM])
def test_what_is_on_is_switched_off_before_it_is_renewed(command: BeginTotp | ConfirmTotp) -> None:
    refusal = given(TOTP, KIM, ON).when(command, RIGHT).rejected("totp_enabled")
    assert refusal.kind == "conflict"


@pytest.mark.parametrize("off", [OFF, BY_ADMIN])
def test_after_switching_off_one_may_begin_again(off: UserTotpDisabled) -> None:
    given(TOTP, KIM, ON, off).when(BEGIN, NO_SEED).nothing()
    given(TOTP, KIM, ON, off).when(REMOVE, RIGHT).rejected("totp_not_enabled")


def test_a_code_needs_a_seed() -> None:
    given(TOTP, KIM).when(CONFIRM, NO_SEED).rejected("totp_not_begun")


def test_a_wrong_code_is_refused_by_field() -> None:
    for happened, command in (((KIM,), CONFIRM), ((KIM, ON), REMOVE)):
        refusal = given(TOTP, *happened).when(command, WRONG).rejected("otp_invalid")
        assert refusal.kind == "invalid"
        assert [error.field for error in refusal.errors] == ["code"]


@pytest.mark.parametrize("command", [BEGIN, CONFIRM, REMOVE])
def test_nobody_and_erased_persons_have_none(
    command: BeginTotp | ConfirmTotp | RemoveTotp,
) -> None:
    given(TOTP).when(command, RIGHT).rejected("user_not_found")
    given(TOTP, KIM, ON, UserErased(user_id="u-1")).when(command, RIGHT).rejected("user_erased")


@for_all(
    tries=st.lists(
        st.tuples(
            st.sampled_from([BEGIN, CONFIRM, REMOVE]), st.sampled_from([RIGHT, WRONG, NO_SEED])
        ),
        max_size=20,
    )
)
def test_it_is_switched_to_and_fro_and_only_by_right_codes(
    tries: list[tuple[BeginTotp | ConfirmTotp | RemoveTotp, ShownCode]],
) -> None:
    happened: list[UsersEvent] = [KIM]
    for command, shown in tries:
        decided = totp.decide(TOTP.fold(happened), command, shown)
        if isinstance(decided, Rejection):
            continue
        assert not decided or shown == RIGHT
        happened.extend(decided)
    switches = happened[1:]
    assert switches == [(ON, OFF)[number % 2] for number in range(len(switches))]
