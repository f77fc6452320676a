from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.gateway.documents.users import UserDocument
from services.gateway.projections.users_fold import Batch, Touched, fold
from shared.contracts.base import Actor, Meta
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairRateLimited,
    KeypairRateLimitSet,
    KeypairSecretRevealed,
    LoginEnded,
    LoginStarted,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserLoginBlocked,
    UserMainKeypairSwitched,
    UserPasswordSet,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.eventlog.records import Recorded
from shared.security.persons import PersonKey, seal_text

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = PersonKey.generate("u1")
GIB = 2**30


def sealed(field, text):
    return seal_text(KEY, field, text)


CREATED = UserCreated(
    user_id="u1",
    email=sealed("email", "a@example.org"),
    username=sealed("username", "a"),
    full_name=sealed("full_name", "Ada"),
    description=sealed("description", ""),
    domain="lab",
    role="user",
    status="active",
    resource_policy="default",
)


def issued(access_key, *, is_main=False):
    return KeypairIssued(
        access_key=access_key,
        user_id="u1",
        is_main=is_main,
        status="active",
        resource_policy="default",
        rate_limit=10_000,
    )


def recorded(number, event):
    return Recorded(
        position=number,
        stream=f"{event.AGGREGATE}-{event.key()}",
        version=number,
        type=type(event).__name__,
        schema_version=1,
        event=event,
        meta=Meta(actor=Actor("user", "root"), correlation_id="c", client_address="192.0.2.7"),
        event_id=f"e{number}",
        recorded_at=START + timedelta(seconds=number),
    )


def after(*events, key=KEY):
    batch = Batch()
    for number, event in enumerate(events):
        fold(batch, recorded(number, event), {"u1": key})
    return batch


def user(*events):
    return after(CREATED, *events).users["u1"]


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ((UserProfileChanged(user_id="u1", full_name=sealed("full_name", "Bo")),), {
            "full_name": "Bo", "username": "a", "email": "a@example.org"}),
        ((UserFlagsChanged(user_id="u1", sudo_session_enabled=True),), {
            "sudo_session_enabled": True, "password_change_required": False}),
        ((UserDeactivated(user_id="u1"),), {"status": "inactive"}),
        ((UserDeactivated(user_id="u1"), UserActivated(user_id="u1")), {"status": "active"}),
        ((UserRoleChanged(user_id="u1", role="admin"),), {"role": "admin"}),
        ((UserPolicyAssigned(user_id="u1", resource_policy="big"),), {"resource_policy": "big"}),
        ((UserTotpEnabled(user_id="u1"),), {"totp_enabled": True}),
        ((UserTotpEnabled(user_id="u1"), UserTotpDisabled(user_id="u1", by="administrator")), {
            "totp_enabled": False}),
        ((UserPasswordSet(user_id="u1", by="self"),), {"full_name": "Ada"}),
    ],
)  # fmt: skip
def test_a_user_is_shown_as_changed_last(events, shown):
    document = msgspec.to_builtins(user(*events))
    assert {name: document[name] for name in shown} == shown
    assert user(*events).modified_at == START + timedelta(seconds=len(events))


def test_an_erased_person_has_no_texts_whatever_was_said_before():
    renamed = UserProfileChanged(user_id="u1", username=sealed("username", "b"))
    for key in (KEY, None):  # as it happens, and when folded anew later, without the key
        gone = after(
            CREATED, UserDeactivated(user_id="u1"), renamed, UserErased(user_id="u1"), key=key
        ).users["u1"]
        assert (gone.email, gone.username, gone.full_name, gone.description) == (None,) * 4
        assert gone.erased
        assert gone.status == "inactive"


def test_a_lock_out_is_shown_until_a_log_in_works():
    until = START + timedelta(hours=1)
    blocked = UserLoginBlocked(user_id="u1", until=until)
    assert user(blocked).login_blocked_until == until
    assert user(blocked).modified_at == START
    started = LoginStarted(login_id="l1", user_id="u1", token_hash="0" * 64, expires_at=until)
    assert user(blocked, started).login_blocked_until is None
    assert user(blocked, started).last_login_at == START + timedelta(seconds=2)


def test_a_log_in_session_ends_with_its_reason():
    started = LoginStarted(login_id="l1", user_id="u1", token_hash="0" * 64, expires_at=START)
    ended = LoginEnded(login_id="l1", user_id="u1", reason="password_changed")
    login = after(CREATED, started, ended).logins["l1"]
    assert (login.end_reason, login.client_address) == ("password_changed", "192.0.2.7")
    assert login.ended_at == START + timedelta(seconds=2)


def test_switching_the_main_keypair_moves_the_mark_and_no_more():
    switched = UserMainKeypairSwitched(user_id="u1", access_key="B", previous="A")
    batch = after(CREATED, issued("A", is_main=True), issued("B"), switched)
    assert batch.users["u1"].main_access_key == "B"
    assert [batch.keypairs[name].is_main for name in "AB"] == [False, True]


def test_a_keypair_is_shown_as_changed_last_and_not_at_all_once_deleted():
    limited = KeypairRateLimitSet(access_key="A", user_id="u1", rate_limit=None)
    off = KeypairDeactivated(access_key="A", user_id="u1")
    batch = after(CREATED, issued("A"), limited, off)
    assert batch.keypairs["A"].rate_limit is None
    assert batch.keypairs["A"].status == "inactive"
    shown = (
        KeypairSecretRevealed(access_key="A", user_id="u1"),
        KeypairRateLimited(access_key="A", user_id="u1", limit=1),
    )
    assert after(CREATED, issued("A"), limited, off, *shown).keypairs == batch.keypairs
    gone = after(CREATED, issued("A"), limited, off, KeypairDeleted(access_key="A", user_id="u1"))
    assert not gone.keypairs
    assert gone.keypairs_gone == {"A"}


def test_a_domain_and_a_project_keep_what_is_not_named():
    batch = after(
        DomainCreated(name="lab", description="first", total_resource_slots={"cpu": 4000}),
        DomainChanged(name="lab", is_active=False, allowed_hosts={"local": ("read",)}),
        ProjectCreated(project_id="p1", domain="lab", name="x", project_type="general"),
        ProjectChanged(project_id="p1", total_resource_slots={"mem": GIB, "cpu": None}),
        ProjectChanged(project_id="p1", resource_policy="big"),
    )
    domain, project = batch.domains["lab"], batch.projects["p1"]
    assert (domain.description, domain.is_active) == ("first", False)
    assert domain.allowed_hosts == {"local": ["read"]}
    assert domain.total_resource_slots == {"cpu": "4"}
    assert project.total_resource_slots == {"cpu": None, "mem": str(GIB)}
    assert (project.resource_policy, project.is_active) == ("big", True)
    assert project.modified_at == START + timedelta(seconds=4)


def test_members_come_change_their_role_and_go():
    added = ProjectMemberAdded(project_id="p1", user_id="u1")
    promoted = ProjectMemberRoleSet(project_id="p1", user_id="u1", role="admin")
    removed = ProjectMemberRemoved(project_id="p1", user_id="u1")
    batch = after(CREATED, added, promoted)
    assert batch.users["u1"].projects == ["p1"]
    member = batch.members["p1:u1"]
    assert (member.role, member.created_at) == ("admin", START + timedelta(seconds=1))
    gone = after(CREATED, added, removed)
    assert gone.users["u1"].projects == []
    assert (gone.members, gone.members_gone) == ({}, {"p1:u1"})
    back = after(CREATED, added, removed, added)
    assert (set(back.members), back.members_gone) == ({"p1:u1"}, set())


def test_what_a_batch_touches_is_loaded_before_it_is_folded():
    events = (
        KeypairDeactivated(access_key="A", user_id="u1"),
        UserMainKeypairSwitched(user_id="u2", access_key="B", previous="C"),
        ProjectMemberRemoved(project_id="p1", user_id="u3"),
        DomainChanged(name="lab"),
        ProjectChanged(project_id="p2"),
        LoginEnded(login_id="l1", user_id="u4", reason="revoked"),
        UserLoginBlocked(user_id="u5", until=START),
    )
    assert Touched.by(recorded(1, event) for event in events) == (
        {"lab"},
        {"p2"},
        {"p1:u3"},
        {"u2", "u3", "u5"},
        {"A", "B", "C"},
        {"l1"},
    )


def test_a_user_document_survives_its_way_through_json():
    found = user(UserTotpEnabled(user_id="u1"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=UserDocument) == found
