"""What may become of a user."""

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain import user
from services.users.domain.profile import normal_email, normal_username
from services.users.domain.user import KnownProject, NewUser, SealedProfile
from shared.contracts.users import CreateUser, UserCreated
from shared.eventlog.decider import Decider
from shared.kernel.rejections import FieldError, Rejection
from shared.testing.spec import given

USER = Decider(user.INITIAL, user.evolve, user.decide)
PROFILE = SealedProfile(email="1.e", username="1.u", full_name="1.f", description="1.d")
COMMAND = CreateUser(email="kim@example.org", username="kim", sealed_password="1.p")
FACTS = NewUser(
    user_id="u-1",
    profile=PROFILE,
    domain_active=True,
    projects={
        "p-1": KnownProject("default"),
        "p-2": KnownProject("other"),
        "p-3": KnownProject("default", is_active=False),
    },
    policy_exists=True,
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


def codes(command: CreateUser, facts: NewUser = FACTS) -> set[tuple[str, str]]:
    outcome = user.decide(user.INITIAL, command, facts)
    if not isinstance(outcome, Rejection):
        return set()
    assert outcome.kind == "invalid"
    return {(error.field, error.code) for error in outcome.errors}


def changed(**changes: object) -> CreateUser:
    return msgspec.structs.replace(COMMAND, **changes)


def test_a_user_is_created_with_sealed_texts_only() -> None:
    given(USER).when(COMMAND, FACTS).then(CREATED)


def test_what_is_asked_for_is_in_the_event() -> None:
    wish = changed(
        role="admin",
        status="before_verification",
        resource_policy="gold",
        password_change_required=True,
        sudo_session_enabled=True,
        projects=("p-1",),
    )
    expected = msgspec.structs.replace(
        CREATED,
        role="admin",
        status="before_verification",
        resource_policy="gold",
        password_change_required=True,
        sudo_session_enabled=True,
    )
    given(USER).when(wish, FACTS).then(expected)


def test_a_user_is_created_once() -> None:
    given(USER, CREATED).when(COMMAND, FACTS).rejected("user_exists")


def test_every_field_that_breaks_a_rule_is_named_at_once() -> None:
    wish = changed(
        email="nobody",
        username=" ",
        full_name="x" * 65,
        description="y" * 501,
        domain="absent",
        projects=("p-2", "p-9"),
        resource_policy="absent",
    )
    facts = msgspec.structs.replace(
        FACTS,
        domain_active=None,
        policy_exists=False,
        password_error=FieldError("password", "too_short", "..."),
    )
    assert codes(wish, facts) == {
        ("email", "not_an_email"),
        ("username", "spaces"),
        ("full_name", "too_long"),
        ("description", "too_long"),
        ("password", "too_short"),
        ("domain", "unknown_domain"),
        ("projects", "unknown_project"),
        ("resource_policy", "unknown_policy"),
    }


def test_a_project_of_another_domain_and_an_absent_one_are_told_apart_by_nothing() -> None:
    other, absent = (
        user.creation_errors(changed(projects=(project,)), FACTS) for project in ("p-2", "p-9")
    )
    assert [error.code for error in other] == [error.code for error in absent]


def test_nobody_new_enters_an_inactive_domain_or_project() -> None:
    closed = msgspec.structs.replace(FACTS, domain_active=False)
    given(USER).when(COMMAND, closed).rejected("domain_inactive")
    given(USER).when(changed(projects=("p-1", "p-3")), FACTS).rejected("project_inactive")


def test_a_user_is_put_into_so_many_projects_at_once_and_no_more() -> None:
    assert codes(changed(projects=("p-1",) * 101)) == {("projects", "too_many")}


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("a@b", None),
        ("kim.lee+x@sub.example.org", None),
        ("a" * 60 + "@b.c", None),
        ("a" * 62 + "@b.c", "too_long"),
        ("", "not_an_email"),
        ("@b.c", "not_an_email"),
        ("a@", "not_an_email"),
        ("a b@c.d", "not_an_email"),
        ("a@b@c.d", "not_an_email"),
        (".a@b.c", "not_an_email"),
        ("a..b@c.d", "not_an_email"),
        ("a@-b.c", "not_an_email"),
        ("a@b.c\n", "not_an_email"),
        ("ä@b.c", "not_an_email"),
    ],
)
def test_which_email_addresses_are_taken(email: str, code: str | None) -> None:
    assert codes(changed(email=email)) == ({("email", code)} if code else set())


@pytest.mark.parametrize(
    ("username", "code"),
    [
        ("kim", None),
        ("김철수", None),
        ("x" * 64, None),
        ("x" * 65, "too_long"),
        ("", "required"),
        ("kim ", "spaces"),
        ("k\tim", "control_character"),
        ("k\u202eim", "control_character"),
    ],
)
def test_which_user_names_are_taken(username: str, code: str | None) -> None:
    assert codes(changed(username=username)) == ({("username", code)} if code else set())


def test_a_description_may_have_lines() -> None:
    assert codes(changed(description="one\ntwo\tthree")) == set()
    assert codes(changed(description="\x00")) == {("description", "control_character")}


@for_all(text=st.text(max_size=30))
def test_the_normal_form_of_a_name_is_its_own_normal_form(text: str) -> None:
    for normal in (normal_email, normal_username):
        once = normal(text.upper())
        assert normal(once) == once


def test_spellings_of_one_address_have_one_normal_form() -> None:
    assert normal_email(" Kim@Example.ORG ") == "kim@example.org"


@for_all(
    email=st.text(max_size=70),
    username=st.text(max_size=70),
    description=st.text(max_size=600),
    projects=st.lists(st.text(max_size=3), max_size=4).map(tuple),
)
def test_any_texts_are_decided_on_without_an_error(
    email: str, username: str, description: str, projects: tuple[str, ...]
) -> None:
    wish = changed(email=email, username=username, description=description, projects=projects)
    outcome = user.decide(user.INITIAL, wish, FACTS)
    assert isinstance(outcome, Rejection) or outcome == (CREATED,)
