"""What may be changed about a user."""

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain import user, user_change
from services.users.domain.user import KnownProject
from services.users.domain.user_change import Facts
from shared.contracts.users import (
    ChangeUser,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserPasswordSet,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import FieldError, Rejection
from shared.testing.spec import given

USER = Decider(user.INITIAL, user.evolve, user_change.decide)
TEXTS = {"username": "kim", "full_name": "Kim", "description": ""}
FACTS = Facts(
    texts=TEXTS,
    sealed={"username": "2.u", "full_name": "2.f", "description": "2.d"},
    projects={
        "p-1": KnownProject("default"),
        "p-2": KnownProject("default"),
        "p-3": KnownProject("default", is_active=False),
        "p-9": KnownProject("other"),
    },
    present=("p-1", "store"),
    stores=("store",),
)
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
CHIEF = msgspec.structs.replace(CREATED, role="superadmin")
EXISTS = given(USER, CREATED)


def wish(**fields: Any) -> ChangeUser:
    return ChangeUser(user_id="u-1", **fields)


def facts(**fields: Any) -> Facts:
    return msgspec.structs.replace(FACTS, **fields)


def test_only_what_differs_of_the_texts_is_sealed_anew() -> None:
    change = EXISTS.when(wish(username="Kim", full_name="Kim", description="new"), FACTS)
    change.then(UserProfileChanged(user_id="u-1", username="2.u", description="2.d"))
    assert change.state.username == "2.u"
    assert change.state.full_name == "1.f"


def test_all_that_is_given_is_changed_at_once() -> None:
    everything = wish(
        full_name="",
        sealed_password="1.p",
        status="inactive",
        role="admin",
        projects=("p-2",),
        resource_policy="gold",
        password_change_required=True,
        sudo_session_enabled=False,
        totp_enabled=False,
    )
    given(USER, CREATED, UserTotpEnabled(user_id="u-1")).when(everything, FACTS).then(
        UserProfileChanged(user_id="u-1", full_name="2.f"),
        UserPasswordSet(user_id="u-1", by="administrator"),
        UserFlagsChanged(user_id="u-1", password_change_required=True),
        UserPolicyAssigned(user_id="u-1", resource_policy="gold"),
        UserRoleChanged(user_id="u-1", role="admin"),
        UserTotpDisabled(user_id="u-1", by="administrator"),
        UserDeactivated(user_id="u-1"),
        ProjectMemberAdded(project_id="p-2", user_id="u-1"),
        ProjectMemberRemoved(project_id="p-1", user_id="u-1"),
    )


def test_what_is_so_already_changes_nothing() -> None:
    same = wish(
        **TEXTS,
        status="active",
        role="user",
        projects=("p-1",),
        resource_policy="default",
        password_change_required=False,
        sudo_session_enabled=False,
        totp_enabled=False,
    )
    EXISTS.when(same, FACTS).nothing()
    EXISTS.when(wish(), FACTS).nothing()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("before_verification", "active", UserActivated),
        ("before_verification", "inactive", UserDeactivated),
        ("active", "inactive", UserDeactivated),
        ("inactive", "active", UserActivated),
        ("active", "before_verification", None),
        ("inactive", "before_verification", None),
    ],
)
def test_which_status_follows_which(before: str, after: str, expected: Any) -> None:
    decided = given(USER, msgspec.structs.replace(CREATED, status=before)).when(
        wish(status=after), FACTS
    )
    if expected is None:
        refusal = decided.rejected("status_transition")
        assert refusal.kind == "invalid"
        assert [error.field for error in refusal.errors] == ["status"]
    else:
        assert decided.then(expected(user_id="u-1")).state.status == after


def test_the_projects_of_models_are_kept_and_come_back() -> None:
    EXISTS.when(wish(projects=()), FACTS).then(
        ProjectMemberRemoved(project_id="p-1", user_id="u-1")
    )
    strayed = facts(present=("p-1",))
    EXISTS.when(wish(projects=("p-1",)), strayed).then(
        ProjectMemberAdded(project_id="store", user_id="u-1")
    )


@pytest.mark.parametrize(
    ("changes", "context", "code"),
    [
        ({"projects": ("p-9",)}, FACTS, "unknown_project"),
        ({"projects": ("absent",)}, FACTS, "unknown_project"),
        ({"projects": ("p-1",) * 101}, FACTS, "too_many"),
        ({"projects": ("p-3",)}, FACTS, "project_inactive"),
        ({"projects": ("p-2",)}, facts(domain_active=False), "domain_inactive"),
        ({"username": ""}, FACTS, "required"),
        ({"full_name": "x" * 65}, FACTS, "too_long"),
        ({"description": "\x07"}, FACTS, "control_character"),
        ({"resource_policy": "gold"}, facts(policy_exists=False), "unknown_policy"),
        ({"totp_enabled": True}, FACTS, "totp_only_off"),
        (
            {"sealed_password": "1.p"},
            facts(password_error=FieldError("password", "too_short", "…")),
            "too_short",
        ),
    ],
)
def test_what_breaks_a_rule_is_named(changes: dict[str, Any], context: Facts, code: str) -> None:
    refusal = EXISTS.when(wish(**changes, role="admin"), context)
    assert isinstance(refusal.rejection, Rejection)
    assert [error.code for error in refusal.rejection.errors] == [code]
    assert refusal.rejection.kind == "invalid"


def test_every_wrong_field_is_named_at_once() -> None:
    change = wish(username=" ", projects=("p-9",), status="before_verification", totp_enabled=True)
    refusal = EXISTS.when(change, FACTS).rejected("invalid_request")
    assert {error.field for error in refusal.errors} == {
        "username",
        "projects",
        "status",
        "totp_enabled",
    }


def test_who_stays_in_an_inactive_project_or_domain_stays() -> None:
    inside = facts(present=("p-3", "store"), domain_active=False)
    EXISTS.when(wish(projects=("p-3",)), inside).nothing()
    EXISTS.when(wish(projects=()), inside).then(
        ProjectMemberRemoved(project_id="p-3", user_id="u-1")
    )


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"status": "inactive"}, True),
        ({"role": "admin"}, True),
        ({"status": "active", "role": "superadmin"}, False),
        ({"description": "mine"}, False),
        ({"resource_policy": "gold"}, False),
    ],
)
def test_what_nobody_does_to_the_own_account(changes: dict[str, Any], *, refused: bool) -> None:
    decided = given(USER, CHIEF).when(wish(**changes), facts(is_own=True))
    if refused:
        assert decided.rejected("own_account").kind == "forbidden"
    else:
        assert not isinstance(decided.events, Rejection)


@pytest.mark.parametrize("changes", [{"status": "inactive"}, {"role": "admin"}])
def test_the_last_active_superadmin_stays(changes: dict[str, Any]) -> None:
    alone = facts(others_in_charge=False)
    refusal = given(USER, CHIEF).when(wish(**changes), alone).rejected("last_superadmin")
    assert refusal.kind == "conflict"
    given(USER, CHIEF).when(wish(**changes, description="x"), FACTS)
    asleep = given(USER, CHIEF, UserDeactivated(user_id="u-1"))
    asleep.when(wish(role="admin"), alone).then(UserRoleChanged(user_id="u-1", role="admin"))
    EXISTS.when(wish(status="inactive"), alone).then(UserDeactivated(user_id="u-1"))


def test_somebody_unknown_and_somebody_erased_are_not_changed() -> None:
    given(USER).when(wish(role="admin"), FACTS).rejected("user_not_found")
    erased = given(USER, CREATED, UserDeactivated(user_id="u-1"), UserErased(user_id="u-1"))
    erased.when(wish(status="active"), FACTS).rejected("user_erased")


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "username": st.sampled_from(["kim", "lee", "", "x" * 70]),
        "full_name": st.text(max_size=5),
        "status": st.sampled_from(["active", "inactive", "before_verification"]),
        "role": st.sampled_from(["superadmin", "admin", "user", "monitor"]),
        "projects": st.lists(st.sampled_from(["p-1", "p-2", "p-3", "p-9"])).map(tuple),
        "password_change_required": st.booleans(),
        "totp_enabled": st.booleans(),
    },
)


@for_all(start=st.sampled_from([CREATED, CHIEF]), changes=st.lists(FIELDS, max_size=4))
def test_doing_the_same_again_changes_nothing_more(
    start: UserCreated, changes: list[dict[str, Any]]
) -> None:
    state = user.evolve(user.INITIAL, start)
    for fields in changes:
        decided = user_change.decide(state, wish(**fields), FACTS)
        if isinstance(decided, Rejection):
            continue
        for event in decided:
            state = user.evolve(state, event)
        fields.pop("username", None)  # what the texts are is a fact, not a part of the state
        fields.pop("full_name", None)
        again = user_change.decide(state, wish(**fields), FACTS)
        assert not isinstance(again, Rejection)
        assert not [
            e for e in again if not isinstance(e, ProjectMemberAdded | ProjectMemberRemoved)
        ]
