"""Which policies and presets may be made, and that ours may."""

import msgspec
import pytest

from services.policies.domain import keypair_policy, preset, project_policy, user_policy
from services.policies.seed import KEYPAIR_POLICY, PROJECT_POLICY, USER_POLICY, seeds
from shared.contracts.base import Event
from shared.contracts.policies import (
    KeypairPolicyCreated,
    PresetDefined,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.testing.spec import given

KEYPAIR = Decider(keypair_policy.INITIAL, keypair_policy.evolve, keypair_policy.decide)
USER = Decider(user_policy.INITIAL, user_policy.evolve, user_policy.decide)
PROJECT = Decider(project_policy.INITIAL, project_policy.evolve, project_policy.decide)
PRESET = Decider(preset.INITIAL, preset.evolve, preset.decide)

SMALL = PresetDefined(
    preset_id="p-1", name="small", resource_slots={"cpu": 1000, "mem": 2**30}, shared_memory=2**26
)


@pytest.mark.parametrize(
    ("decider", "wish"),
    [
        (KEYPAIR, KEYPAIR_POLICY),
        (USER, USER_POLICY),
        (PROJECT, PROJECT_POLICY),
        (PRESET, SMALL),
    ],
)
def test_everything_is_made_once(decider: Decider, wish: Event) -> None:
    given(decider).when(wish, None).then(wish)
    code = "preset_exists" if wish is SMALL else "policy_exists"
    given(decider, wish).when(wish, None).rejected(code)


@pytest.mark.parametrize("name", ["", "x" * 65, "a/b", " a", "a\n"])
def test_a_name_can_stand_in_a_path(name: str) -> None:
    for decider, wish in ((KEYPAIR, KEYPAIR_POLICY), (USER, USER_POLICY), (PRESET, SMALL)):
        bad = msgspec.structs.replace(wish, name=name)
        given(decider).when(bad, None).rejected("invalid_request")


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (
            KeypairPolicyCreated(name="a", max_concurrent_sessions=-1, idle_timeout=-1),
            {"max_concurrent_sessions", "idle_timeout"},
        ),
        (
            KeypairPolicyCreated(name="a", total_resource_slots={"cpu": -1, "mem": None}),
            {"total_resource_slots.cpu"},
        ),
        (KeypairPolicyCreated(name="a", max_priority=101), {"max_priority"}),
        (
            KeypairPolicyCreated(name="a", max_pending_session_resource_slots={"mem": -1}),
            {"max_pending_session_resource_slots.mem"},
        ),
    ],
)
def test_a_keypair_policy_names_every_value_out_of_range(
    wish: KeypairPolicyCreated, fields: set[str]
) -> None:
    outcome = keypair_policy.decide(keypair_policy.INITIAL, wish)
    assert isinstance(outcome, Rejection)
    assert {error.field for error in outcome.errors} == fields


def test_zero_is_a_limit_and_null_is_none() -> None:
    given(KEYPAIR).when(wish := KeypairPolicyCreated(name="a", max_priority=0), None).then(wish)
    given(USER).when(wish := UserPolicyCreated(name="a", max_folder_count=0), None).then(wish)
    bad = UserPolicyCreated(name="a", max_folder_count=-1)
    given(USER).when(bad, None).rejected("invalid_request")
    bad = ProjectPolicyCreated(name="a", max_network_count=-1)
    given(PROJECT).when(bad, None).rejected("invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"resource_slots": {"cpu": 1000}},
        {"resource_slots": {"mem": 2**30}},
        {"resource_slots": {"cpu": 0, "mem": 2**30}},
        {"resource_slots": {"cpu": 1000, "mem": -1}},
        {"shared_memory": 2**30},
        {"shared_memory": -1},
    ],
)
def test_a_preset_asks_for_cpu_and_memory_and_shares_a_part_of_it(changes: dict) -> None:
    wish = msgspec.structs.replace(SMALL, **changes)
    given(PRESET).when(wish, None).rejected("invalid_request")


def test_the_built_in_ones_break_no_rule_and_have_distinct_marks() -> None:
    marks = [seed.mark for seed in seeds()]
    assert len(marks) == len(set(marks)) == 6
