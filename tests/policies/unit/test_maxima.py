"""What policies may give at most, and what is no matter of a maximum."""

from typing import Any

import msgspec
import pytest

from services.policies.domain import keypair_policy, project_policy, user_policy
from shared.contracts.base import Event
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.kernel.slots import MAX_AMOUNT
from shared.testing.spec import given

MAXIMA = {
    "cpu": 512,
    "mem": 2**40,
    "cuda.device": 64,
    "cuda.shares": None,
    "max_concurrent_sessions": 100,
    "idle_timeout": 15_552_000,
    "max_folder_count": 100,
}
KEYPAIR, USER, PROJECT = (
    Decider(rules.INITIAL, rules.evolve, rules.decide)
    for rules in (keypair_policy, user_policy, project_policy)
)
MADE = KeypairPolicyCreated(name="a", total_resource_slots={"cpu": 4000}, idle_timeout=60)


def created(**more: Any) -> tuple[Event, ...] | Rejection:
    wish = CreateKeypairPolicy(name="a", **more)
    return keypair_policy.decide(keypair_policy.INITIAL, wish, MAXIMA)


def test_devices_are_given_whole_and_shares_of_them_are_not() -> None:
    shares = CreateKeypairPolicy(name="a", total_resource_slots={"cuda.shares": 500})
    assert given(KEYPAIR).when(shares, MAXIMA).events
    half = CreateKeypairPolicy(name="a", total_resource_slots={"cuda.device": 500})
    given(KEYPAIR).when(half, MAXIMA).rejected("whole_devices")


@pytest.mark.parametrize(
    ("more", "field", "setting"),
    [
        ({"total_resource_slots": {"cpu": 512_001}}, "total_resource_slots.cpu", "cpu"),
        ({"total_resource_slots": {"mem": 2**40 + 1}}, "total_resource_slots.mem", "mem"),
        (
            {"total_resource_slots": {"cuda.device": 65_000}},
            "total_resource_slots.cuda.device",
            "cuda.device",
        ),
        ({"max_concurrent_sessions": 101}, "max_concurrent_sessions", "max_concurrent_sessions"),
        ({"idle_timeout": 15_552_001}, "idle_timeout", "idle_timeout"),
    ],
)
def test_what_is_above_a_maximum_is_refused_with_the_name_of_the_setting(
    more: dict[str, Any], field: str, setting: str
) -> None:
    refusal = given(KEYPAIR).when(CreateKeypairPolicy(name="a", **more), MAXIMA)
    refusal.rejected("above_maximum")
    assert [error.field for error in refusal.rejection.errors] == [field]
    assert f"policy_maxima.{setting};" in refusal.rejection.message
    change = ChangeKeypairPolicy(name="a", **more)
    given(KEYPAIR, MADE).when(change, MAXIMA).rejected("above_maximum")
    assert given(KEYPAIR).when(CreateKeypairPolicy(name="a", **more), {}).events


def test_the_maximum_itself_unlimited_and_slots_without_one_are_allowed() -> None:
    slots = {"cpu": 512_000, "mem": None, "cuda.shares": MAX_AMOUNT, "npu.device": MAX_AMOUNT}
    assert not isinstance(created(total_resource_slots=slots, idle_timeout=None), Rejection)
    assert not isinstance(created(max_concurrent_sessions=100), Rejection)
    for rules, wish in ((USER, CreateUserPolicy), (PROJECT, CreateProjectPolicy)):
        given(rules).when(wish(name="a", max_folder_count=101), MAXIMA).rejected("above_maximum")
        assert given(rules).when(wish(name="a", max_folder_count=100), MAXIMA).events
        assert given(rules).when(wish(name="a", max_folder_count=None), MAXIMA).events


def test_a_policy_from_before_a_maximum_was_lowered_can_still_be_changed() -> None:
    large = msgspec.structs.replace(
        MADE, total_resource_slots={"cpu": 600_000, "mem": 1}, idle_timeout=15_552_001
    )
    whole = ChangeKeypairPolicy(
        name="a", total_resource_slots={"cpu": 600_000, "mem": 2}, idle_timeout=15_552_001
    )
    changed = KeypairPolicyChanged(name="a", total_resource_slots={"cpu": 600_000, "mem": 2})
    given(KEYPAIR, large).when(whole, MAXIMA).then(changed)
    other = msgspec.structs.replace(whole, total_resource_slots={"cpu": 599_000})
    given(KEYPAIR, large).when(other, MAXIMA).rejected("above_maximum")
