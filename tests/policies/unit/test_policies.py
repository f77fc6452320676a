"""Which policies may be created and changed, and how one ends."""

from types import ModuleType
from typing import Any

import pytest

from services.policies.domain import keypair_policy, project_policy, user_policy
from services.policies.domain.keypair_policy import decide_succession
from shared.contracts.base import Command, Event
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    ChangeProjectPolicy,
    ChangeUserPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    ProjectPolicyChanged,
    ProjectPolicyCreated,
    ProjectPolicyDeleted,
    UserPolicyChanged,
    UserPolicyCreated,
    UserPolicyDeleted,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.kernel.slots import MAX_AMOUNT
from shared.testing.spec import given

FREE: dict[str, int | None] = {}


def decider(module: ModuleType) -> Decider:
    return Decider(module.INITIAL, module.evolve, module.decide)


KEYPAIR, USER, PROJECT = map(decider, (keypair_policy, user_policy, project_policy))
MADE = KeypairPolicyCreated(name="a", total_resource_slots={"cpu": 4000}, idle_timeout=60)
DEFAULT = KeypairPolicyCreated(name="a", is_default=True)


def wrong_fields(decided: Any) -> set[tuple[str, str]]:
    assert isinstance(decided, Rejection)
    return {(error.field, error.code) for error in decided.errors}


def created(**more: Any) -> tuple[Event, ...] | Rejection:
    wish = CreateKeypairPolicy(**{"name": "a", **more})
    return keypair_policy.decide(keypair_policy.INITIAL, wish, FREE)


@pytest.mark.parametrize(
    ("rules", "wish", "event", "deleted"),
    [
        (
            KEYPAIR,
            CreateKeypairPolicy(
                name="a",
                default_for_unspecified="limited",
                total_resource_slots={"cpu": 0, "mem": None, "npu.device": 1000},
                max_session_lifetime=0,
                max_pending_session_resource_slots={"cpu": 500},
                allowed_hosts={"local": ("upload-file",)},
                max_priority=100,
            ),
            KeypairPolicyCreated(
                name="a",
                default_for_unspecified="limited",
                total_resource_slots={"cpu": 0, "mem": None, "npu.device": 1000},
                max_session_lifetime=0,
                max_pending_session_resource_slots={"cpu": 500},
                allowed_hosts={"local": ("upload-file",)},
                max_priority=100,
            ),
            KeypairPolicyDeleted(name="a"),
        ),
        (
            USER,
            CreateUserPolicy(name="x" * 255, max_folder_count=0, max_quota_scope_size=2**60),
            UserPolicyCreated(name="x" * 255, max_folder_count=0, max_quota_scope_size=2**60),
            UserPolicyDeleted(name="x" * 255),
        ),
        (
            PROJECT,
            CreateProjectPolicy(name="연구 정책", max_network_count=3),
            ProjectPolicyCreated(name="연구 정책", max_network_count=3),
            ProjectPolicyDeleted(name="연구 정책"),
        ),
    ],
)
def test_a_name_is_there_once_until_its_policy_is_deleted(
    rules: Decider, wish: Command, event: Event, deleted: Event
) -> None:
    given(rules).when(wish, FREE).then(event)
    refusal = given(rules, event).when(wish, FREE).rejected("policy_exists")
    assert (refusal.kind, refusal.details) == ("conflict", {"field": "name"})
    given(rules, event, deleted).when(wish, FREE).then(event)


@pytest.mark.parametrize(
    ("rules", "event", "wish", "changed"),
    [
        (
            KEYPAIR,
            MADE,
            ChangeKeypairPolicy(name="a", idle_timeout=None, max_priority=5),
            KeypairPolicyChanged(name="a", idle_timeout=None, max_priority=5),
        ),
        (
            USER,
            UserPolicyCreated(name="a", max_folder_count=3),
            ChangeUserPolicy(name="a", max_folder_count=None),
            UserPolicyChanged(name="a", max_folder_count=None),
        ),
        (
            PROJECT,
            ProjectPolicyCreated(name="a", max_network_count=3),
            ChangeProjectPolicy(name="a", max_network_count=0),
            ProjectPolicyChanged(name="a", max_network_count=0),
        ),
    ],
)
def test_only_what_is_given_and_different_changes(
    rules: Decider, event: Event, wish: Command, changed: Event
) -> None:
    done = given(rules, event).when(wish, FREE).then(changed)
    given(rules, event, changed).when(wish, FREE).nothing()
    given(rules, event).when(type(wish)(name="a"), FREE).nothing()
    assert done.state.values.name == "a"


@pytest.mark.parametrize(
    ("rules", "wish", "code"),
    [
        (KEYPAIR, ChangeKeypairPolicy(name="a"), "keypair_policy_not_found"),
        (USER, ChangeUserPolicy(name="a"), "user_policy_not_found"),
        (PROJECT, ChangeProjectPolicy(name="a"), "project_policy_not_found"),
    ],
)
def test_what_is_not_there_is_not_changed(rules: Decider, wish: Command, code: str) -> None:
    assert given(rules).when(wish, FREE).rejected(code).kind == "not_found"


@pytest.mark.parametrize("name", ["", "a/b", " a", "a ", "a\n", "a\x00", ".", ".."])
def test_a_name_can_stand_in_a_path(name: str) -> None:
    wishes = (
        (KEYPAIR, CreateKeypairPolicy(name=name)),
        (USER, CreateUserPolicy(name=name)),
        (PROJECT, CreateProjectPolicy(name=name)),
    )
    for rules, wish in wishes:
        refusal = given(rules).when(wish, FREE).rejected("invalid_request")
        assert {error.field for error in refusal.errors} == {"name"}


def test_names_of_keypair_policies_are_shorter_than_others() -> None:
    for length, rules, wish in ((65, KEYPAIR, CreateKeypairPolicy), (256, USER, CreateUserPolicy)):
        refusal = given(rules).when(wish(name="x" * length), FREE).rejected("invalid_request")
        assert refusal.errors[0].code == "length"
        assert given(rules).when(wish(name="x" * (length - 1)), FREE).events


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (
            {"max_concurrent_sessions": -1, "idle_timeout": -1},
            {("max_concurrent_sessions", "negative"), ("idle_timeout", "negative")},
        ),
        (
            {"total_resource_slots": {"cpu": -1, "mem": None, "x": MAX_AMOUNT + 1}},
            {("total_resource_slots.cpu", "negative"), ("total_resource_slots.x", "too_large")},
        ),
        (
            {"max_pending_session_resource_slots": {"mem": -1}},
            {("max_pending_session_resource_slots.mem", "negative")},
        ),
        ({"total_resource_slots": {"CPU": 1}}, {("total_resource_slots", "slot_name")}),
        (
            {"total_resource_slots": {f"s{number}": 1 for number in range(65)}},
            {("total_resource_slots", "too_many")},
        ),
        ({"max_priority": 101}, {("max_priority", "too_large")}),
        ({"max_session_lifetime": 2**31}, {("max_session_lifetime", "too_large")}),
        (
            {"allowed_hosts": {"local": ("fly", "upload-file", "upload-file"), "b": ()}},
            {("allowed_hosts.local", "unknown_permission"), ("allowed_hosts.local", "repeated")},
        ),
        ({"allowed_hosts": {"": ()}}, {("allowed_hosts", "host_name")}),
    ],
)
def test_every_value_out_of_range_is_named(
    more: dict[str, Any], wrong: set[tuple[str, str]]
) -> None:
    refusal = created(**more)
    assert wrong_fields(refusal) == wrong
    change = ChangeKeypairPolicy(name="a", **more)
    assert wrong_fields(given(KEYPAIR, MADE).when(change, FREE).rejection) == wrong


def test_zero_is_a_limit_and_null_is_none_for_users_and_projects_too() -> None:
    for rules, wish in ((USER, CreateUserPolicy), (PROJECT, CreateProjectPolicy)):
        bad = wish(name="a", max_folder_count=-1, max_quota_scope_size=MAX_AMOUNT + 1)
        assert wrong_fields(given(rules).when(bad, FREE).rejection) == {
            ("max_folder_count", "negative"),
            ("max_quota_scope_size", "too_large"),
        }
        assert given(rules).when(wish(name="a", max_folder_count=0), FREE).events


def test_the_default_is_taken_over_and_never_given_up() -> None:
    taking = ChangeKeypairPolicy(name="a", is_default=True)
    done = given(KEYPAIR, MADE).when(taking, FREE)
    done.then(KeypairPolicyChanged(name="a", is_default=True))
    given(KEYPAIR, DEFAULT).when(taking, FREE).nothing()
    giving_up = ChangeKeypairPolicy(name="a", is_default=False)
    assert (
        given(KEYPAIR, DEFAULT).when(giving_up, FREE).rejected("default_needed").kind == "conflict"
    )
    given(KEYPAIR, MADE).when(giving_up, FREE).nothing()


def test_one_that_was_the_default_is_told_so_once() -> None:
    no_more = KeypairPolicyChanged(name="a", is_default=False)
    assert decide_succession(KEYPAIR.fold([DEFAULT])) == (no_more,)
    assert decide_succession(KEYPAIR.fold([DEFAULT, no_more])) == ()
    assert decide_succession(KEYPAIR.initial) == ()


def test_any_policy_but_the_default_may_be_deleted() -> None:
    modules = (keypair_policy, user_policy, project_policy)
    events = (MADE, UserPolicyCreated(name="a"), ProjectPolicyCreated(name="a"))
    kinds = ("keypair", "user", "project")
    for module, event, kind in zip(modules, events, kinds, strict=True):
        state = decider(module).fold([event])
        (deleted,) = module.decide_deletion(state, "a")
        assert deleted.name == "a"
        missing = module.decide_deletion(decider(module).fold([event, deleted]), "a")
        assert (missing.kind, missing.code) == ("not_found", f"{kind}_policy_not_found")
    refused = keypair_policy.decide_deletion(KEYPAIR.fold([DEFAULT]), "a")
    assert isinstance(refused, Rejection)
    assert (refused.kind, refused.code) == ("conflict", "default_policy")
