"""The directory in memory follows every event that admits, refuses or changes somebody."""

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.auth.directory import Directory
from shared.contracts.base import Actor, Meta
from shared.contracts.users import (
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairRateLimitSet,
    LoginEnded,
    LoginStarted,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserMainKeypairSwitched,
    UserPolicyAssigned,
    UserRoleChanged,
)
from shared.eventlog.records import Recorded

START = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = UserCreated(
    user_id="u1",
    email="1.x",
    username="1.x",
    full_name="1.x",
    description="1.x",
    domain="lab",
    role="user",
    status="active",
    resource_policy="default",
)
KEY = {"access_key": "AK1", "user_id": "u1"}
ISSUED = KeypairIssued(
    **KEY, is_main=True, status="active", resource_policy="default", rate_limit=10
)
STARTED = LoginStarted(
    login_id="l1", user_id="u1", token_hash="h1", expires_at=START + timedelta(days=7)
)


def recorded(position, event):
    return Recorded(
        position=position,
        stream="s",
        version=1,
        type=type(event).__name__,
        schema_version=1,
        event=event,
        meta=Meta(actor=Actor("service", "users"), correlation_id="c"),
        event_id="e",
        recorded_at=START,
    )


def after(*events):
    directory = Directory()
    for position, event in enumerate((CREATED, ISSUED, STARTED, *events), start=1):
        directory.apply(recorded(position, event))
    return directory


def test_who_was_created_issued_and_logged_in_is_known():
    directory = after()
    assert directory.users["u1"].main_access_key == "AK1"
    assert directory.keypairs["AK1"].rate_limit == 10
    assert directory.login("h1", START).user_id == "u1"
    assert directory.login("h1", START + timedelta(days=8)) is None


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((UserDeactivated(user_id="u1"),), "inactive"),
        ((UserDeactivated(user_id="u1"), UserActivated(user_id="u1")), "active"),
        ((UserErased(user_id="u1"),), "inactive"),
        ((UserPolicyAssigned(user_id="u1", resource_policy="x"),), "active"),
    ],
)
def test_a_user_is_let_in_or_kept_out_and_the_keypair_keeps_its_own_state(events, status):
    directory = after(*events)
    assert directory.users["u1"].status == status
    assert directory.keypairs["AK1"].status == "active"
    assert directory.login("h1", START) is not None


def test_a_keypair_follows_its_events():
    assert after(KeypairDeactivated(**KEY)).keypairs["AK1"].status == "inactive"
    again = after(KeypairDeactivated(**KEY), KeypairActivated(**KEY))
    assert again.keypairs["AK1"].status == "active"
    limited = after(KeypairRateLimitSet(**KEY, rate_limit=None))
    assert limited.keypairs["AK1"].rate_limit is None
    assert "AK1" not in after(KeypairDeleted(**KEY)).keypairs


def test_the_role_the_main_keypair_and_the_flags_follow():
    directory = after(
        UserRoleChanged(user_id="u1", role="superadmin"),
        UserMainKeypairSwitched(user_id="u1", access_key="AK2", previous="AK1"),
        UserFlagsChanged(user_id="u1", sudo_session_enabled=True),
        UserFlagsChanged(user_id="u1", password_change_required=True),
    )
    user = directory.users["u1"]
    assert (user.role, user.main_access_key, user.sudo_session_enabled) == (
        "superadmin",
        "AK2",
        True,
    )


def test_a_token_ends_with_its_log_in():
    ended = after(LoginEnded(login_id="l1", user_id="u1", reason="revoked"))
    assert ended.login("h1", START) is None


def test_what_concerns_nobody_known_changes_nothing():
    directory = after(
        UserDeactivated(user_id="nobody"),
        KeypairDeactivated(access_key="AK9", user_id="nobody"),
        KeypairDeleted(access_key="AK9", user_id="nobody"),
        LoginEnded(login_id="l9", user_id="nobody", reason="logout"),
    )
    assert directory.users["u1"].status == "active"
    assert set(directory.keypairs) == {"AK1"}


def test_what_was_accepted_holds_before_its_event_is_followed():
    directory = after()
    directory.foresee(4, KeypairDeactivated(**KEY))
    assert directory.keypairs["AK1"].status == "inactive"


def test_what_was_accepted_holds_until_the_events_have_come_so_far():
    directory = after()
    directory.foresee(6, KeypairDeactivated(**KEY))
    for position, event in ((4, KeypairDeactivated(**KEY)), (5, KeypairActivated(**KEY))):
        directory.apply(recorded(position, event))
        assert directory.keypairs["AK1"].status == "inactive"
    for position, event in ((6, KeypairDeactivated(**KEY)), (7, KeypairActivated(**KEY))):
        directory.apply(recorded(position, event))
    assert directory.keypairs["AK1"].status == "active"


def test_what_was_followed_already_is_not_foreseen_again():
    directory = after(KeypairDeactivated(**KEY), KeypairActivated(**KEY))
    directory.foresee(4, KeypairDeactivated(**KEY))  # its answer came late
    assert directory.keypairs["AK1"].status == "active"
