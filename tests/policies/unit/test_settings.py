"""What settings may be, and what a change of them does."""

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.policies.domain import settings
from services.policies.domain.settings import maxima
from shared.contracts.policies import (
    SETTINGS,
    ChangeSettings,
    ResetSettings,
    SettingChanged,
    SettingReset,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.testing.spec import given

RULES = Decider(settings.INITIAL, settings.evolve, settings.decide)
LIFO = SettingChanged(setting="scheduler.type", value="lifo")
MTU = SettingChanged(setting="overlay_mtu", value=9000)


def change(**values: Any) -> ChangeSettings:
    return ChangeSettings(values={key.replace("__", "."): value for key, value in values.items()})


def test_what_is_given_and_different_changes_and_the_rest_keeps_its_default() -> None:
    wish = change(overlay_mtu=9000, image_auto_pull="digest", announcement="안녕 👩‍🔬\n\tbye")
    done = given(RULES).when(wish)
    done.then(MTU, SettingChanged(setting="announcement", value="안녕 👩‍🔬\n\tbye"))
    assert done.state["overlay_mtu"] == 9000
    assert done.state["image_auto_pull"] == "digest"
    given(RULES, *done.events).when(wish).nothing()


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("overlay_mt", 1500, "unknown_setting"),
        ("scheduler", "fifo", "unknown_setting"),
        ("overlay_mtu", "1500", "wrong_type"),
        ("overlay_mtu", True, "wrong_type"),
        ("overlay_mtu", 67, "out_of_range"),
        ("overlay_mtu", 65_536, "out_of_range"),
        ("project_folders_allowed", 1, "wrong_type"),
        ("project_folders_allowed", None, "wrong_type"),
        ("image_auto_pull", "always", "not_a_choice"),
        ("image_auto_pull", False, "wrong_type"),
        ("scheduler.type", None, "wrong_type"),
        ("scheduler.retries_to_skip", -1, "out_of_range"),
        ("scheduler.retries_to_skip", 1001, "out_of_range"),
        ("max_containers_per_agent", 0, "out_of_range"),
        ("max_containers_per_agent", 2**53, "out_of_range"),
        ("announcement", "x" * 10_001, "out_of_range"),
        ("announcement", 1, "wrong_type"),
        ("policy_maxima.cpu", -1, "out_of_range"),
    ],
)
def test_a_value_that_a_setting_can_not_have_is_refused_with_the_rest(
    key: str, value: Any, code: str
) -> None:
    wish = ChangeSettings(values={"group_resource_visibility": False, key: value})
    refusal = given(RULES).when(wish).rejected(code)
    assert [error.field for error in refusal.errors] == [key]


def test_every_wrong_value_is_named() -> None:
    refusal = given(RULES).when(change(overlay_mtu=1, announcement="\x00", nothing=1))
    refusal.rejected("invalid_request")
    assert [error.code for error in refusal.rejection.errors] == [
        "out_of_range",
        "control_character",
        "unknown_setting",
    ]


def test_null_is_a_value_only_where_it_means_something() -> None:
    for key, setting in SETTINGS.items():
        decided = RULES.decide(RULES.initial, ChangeSettings(values={key: None}), None)
        assert isinstance(decided, Rejection) is not setting.nullable, key


def test_only_fifo_skips() -> None:
    retries = change(scheduler__retries_to_skip=5)
    assert given(RULES).when(retries).events
    given(RULES, LIFO).when(retries).rejected("only_fifo")
    both = change(scheduler__retries_to_skip=3, scheduler__type="drf")
    given(RULES).when(both).rejected("only_fifo")
    back = change(scheduler__retries_to_skip=5, scheduler__type="fifo")
    assert given(RULES, LIFO).when(back).events
    zero = change(scheduler__retries_to_skip=0, scheduler__type="lifo")
    assert given(RULES).when(zero).events
    given(RULES).when(change(scheduler__type="lifo")).then(LIFO)


def test_what_was_changed_can_be_reset_one_by_one_or_all_at_once() -> None:
    one = given(RULES, LIFO, MTU).when(ResetSettings(settings=("overlay_mtu",)))
    one.then(SettingReset(setting="overlay_mtu"))
    assert one.state["overlay_mtu"] == 1500
    done = given(RULES, LIFO, MTU).when(ResetSettings())
    assert {event.setting for event in done.events} == {"overlay_mtu", "scheduler.type"}
    assert done.state.values == {}
    given(RULES, LIFO).when(ResetSettings(settings=("overlay_mtu",))).nothing()
    given(RULES).when(ResetSettings()).nothing()
    unknown = ResetSettings(settings=("scheduler.type", "nothing"))
    given(RULES, LIFO).when(unknown).rejected("unknown_setting")


def test_the_maxima_of_policies_are_those_of_the_manual_until_they_are_changed() -> None:
    before = maxima(RULES.initial)
    assert before == {
        "cpu": 512,
        "mem": 2**40,
        "cuda.device": 64,
        "cuda.shares": 256,
        "max_concurrent_sessions": 100,
        "idle_timeout": 15_552_000,
        "max_folder_count": 100,
    }
    changed = RULES.fold(
        [
            SettingChanged(setting="policy_maxima.cuda.device", value=None),
            SettingChanged(setting="policy_maxima.cpu", value=0),
        ]
    )
    assert maxima(changed) == {**before, "cuda.device": None, "cpu": 0}


def allowed(value: Any) -> bool:
    """Tell by hand what every rule together allows for `overlay_mtu`."""
    return value is None or (type(value) is int and 68 <= value <= 65_535)


@for_all(
    st.none()
    | st.booleans()
    | st.text(max_size=5)
    | st.integers(-10, 70_000)
    | st.sampled_from([67, 68, 65_535, 65_536, 2**70])
)
def test_the_mtu_is_what_a_network_can_have_or_is_refused(value: Any) -> None:
    decided = RULES.decide(RULES.initial, change(overlay_mtu=value), None)
    assert isinstance(decided, Rejection) is not allowed(value)


VALUES = st.dictionaries(
    st.sampled_from([*SETTINGS, "unknown"]),
    st.none() | st.booleans() | st.integers(-1, 2000) | st.sampled_from(["fifo", "drf", "tag"]),
    max_size=6,
)


@for_all(st.lists(VALUES | st.none(), max_size=8))
def test_whatever_is_wished_every_setting_keeps_a_value_that_it_may_have(wishes: list) -> None:
    state = RULES.initial
    for wish in wishes:
        command = ResetSettings() if wish is None else ChangeSettings(values=wish)
        decided = RULES.decide(state, command, None)
        if isinstance(decided, Rejection):
            continue
        after = RULES.fold(decided, state)
        for key, setting in SETTINGS.items():
            value = after[key]
            wished = setting.default if wish is None else wish.get(key, state[key])
            assert (type(value), value) == (type(wished), wished)
            again = RULES.decide(RULES.initial, ChangeSettings(values={key: value}), None)
            assert not isinstance(again, Rejection)
        state = after
