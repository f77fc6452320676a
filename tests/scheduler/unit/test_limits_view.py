"""Which limits hold for whom, after what has become of policies, keypairs, projects, domains."""

import pytest

from services.scheduler.domain.resource_group import Defaults
from services.scheduler.domain.scopes import CLOSED, Ceiling
from services.scheduler.limits_view import LimitsView
from shared.contracts.base import Event
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    SettingChanged,
    SettingReset,
    UserPolicyCreated,
)
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    ProjectChanged,
    ProjectCreated,
    UserMainKeypairSwitched,
)

SMALL = KeypairPolicyCreated(
    name="small", max_concurrent_sessions=3, total_resource_slots={"cpu": 2000}
)
LARGE = KeypairPolicyCreated(name="large", default_for_unspecified="limited")
ISSUED = KeypairIssued(
    access_key="AK1",
    user_id="u-1",
    is_main=True,
    status="active",
    resource_policy="small",
    rate_limit=None,
)
SECOND = KeypairIssued(
    access_key="AK2",
    user_id="u-1",
    is_main=False,
    status="active",
    resource_policy="large",
    rate_limit=None,
)
ASSIGNED = KeypairPolicyAssigned(access_key="AK1", user_id="u-1", resource_policy="large")
DELETED = KeypairDeleted(access_key="AK2", user_id="u-1")
PROJECT = ProjectCreated(
    project_id="p-1",
    domain="lab",
    name="a",
    project_type="general",
    total_resource_slots={"mem": 1},
)
UNLIMITED = Ceiling({})


def after(*events: Event) -> LimitsView:
    view = LimitsView()
    for event in events:
        view.apply(event)
    return view


@pytest.mark.parametrize(
    ("events", "scope", "ceiling"),
    [
        ((SMALL, ISSUED), "keypair:AK1", Ceiling({"cpu": 2000}, "unlimited", 3)),
        ((SMALL, LARGE, ISSUED, ASSIGNED), "keypair:AK1", Ceiling({}, "limited", None)),
        (
            (SMALL, ISSUED, KeypairPolicyChanged(name="small", max_concurrent_sessions=None)),
            "keypair:AK1",
            Ceiling({"cpu": 2000}, "unlimited", None),
        ),
        ((ISSUED,), "keypair:AK1", CLOSED),
        ((ISSUED, SMALL), "keypair:AK1", Ceiling({"cpu": 2000}, "unlimited", 3)),
        (
            (LARGE, SECOND, DELETED, KeypairPolicyDeleted(name="large")),
            "keypair:AK2",
            Ceiling({}, "limited", None),
        ),
        ((PROJECT,), "project:p-1", Ceiling({"mem": 1})),
        (
            (PROJECT, ProjectChanged(project_id="p-1", description="b")),
            "project:p-1",
            Ceiling({"mem": 1}),
        ),
        (
            (PROJECT, ProjectChanged(project_id="p-1", total_resource_slots={})),
            "project:p-1",
            UNLIMITED,
        ),
        ((DomainCreated(name="lab"),), "domain:lab", UNLIMITED),
        (
            (DomainCreated(name="lab"), DomainChanged(name="lab", total_resource_slots={"cpu": 0})),
            "domain:lab",
            Ceiling({"cpu": 0}),
        ),
    ],
)
def test_the_ceiling_of_a_scope(events: tuple[Event, ...], scope: str, ceiling: Ceiling) -> None:
    view = after(*events)
    assert view.ceiling(scope) == ceiling
    assert scope in set(view.scopes())


@pytest.mark.parametrize(
    ("before", "news", "scopes"),
    [
        ((SMALL, LARGE, ISSUED, SECOND), KeypairPolicyChanged(name="small"), {"keypair:AK1"}),
        ((SMALL, LARGE, ISSUED, SECOND), ASSIGNED, {"keypair:AK1"}),
        (
            (SMALL, LARGE, ISSUED, SECOND, ASSIGNED),
            KeypairPolicyChanged(name="large"),
            {"keypair:AK1", "keypair:AK2"},
        ),
        ((SMALL, ISSUED, ASSIGNED), KeypairPolicyChanged(name="small"), set()),
        ((SMALL,), ISSUED, {"keypair:AK1"}),
        ((), PROJECT, {"project:p-1"}),
        ((PROJECT,), ProjectChanged(project_id="p-1", is_active=False), set()),
        ((), UserPolicyCreated(name="x"), set()),
        ((), SettingChanged(setting="overlay_mtu", value=9000), set()),
    ],
)
def test_an_event_names_the_scopes_that_it_binds_otherwise(
    before: tuple[Event, ...], news: Event, scopes: set[str]
) -> None:
    assert set(after(*before).apply(news)) == scopes


def test_who_names_no_keypair_works_under_the_main_one() -> None:
    switched = UserMainKeypairSwitched(user_id="u-1", access_key="AK2", previous="AK1")
    assert after().keypairs.main_of("u-1") is None
    assert after(ISSUED, SECOND).keypairs.main_of("u-1") == "AK1"
    assert after(ISSUED, SECOND, switched).keypairs.main_of("u-1") == "AK2"


@pytest.mark.parametrize(
    ("user_id", "access_key", "is_fine"),
    [("u-1", "AK1", True), ("u-2", "AK1", False), ("u-1", "AK2", False), ("u-1", "AK3", False)],
)
def test_sessions_are_had_under_ones_own_keypairs_that_there_are(
    user_id: str, access_key: str, *, is_fine: bool
) -> None:
    view = after(ISSUED, SECOND, DELETED)
    problem = view.keypairs.problem(user_id, access_key)
    assert (problem is None) == is_fine
    assert problem is None or problem.code == "keypair_not_found"


def test_settings_have_their_defaults_until_and_after_they_are_changed() -> None:
    changed = SettingChanged(setting="scheduler.retries_to_skip", value=7)
    never = SettingChanged(setting="image_auto_pull", value="none")
    reset = SettingReset(setting="scheduler.retries_to_skip")
    assert after().defaults() == Defaults(retries_to_skip=3)
    assert after(changed).defaults() == Defaults(retries_to_skip=7)
    assert after(changed, reset).defaults() == Defaults(retries_to_skip=3)
    assert after().policies.image_auto_pull == "digest"
    assert after(never).policies.image_auto_pull == "none"
