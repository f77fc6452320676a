"""Whom the scheduler lets have sessions, after what has become of users and projects."""

import pytest

from services.scheduler.users_view import UsersView
from shared.contracts.base import Event
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserRoleChanged,
)

USER = UserCreated(
    user_id="u-1",
    email="1.e",
    username="1.u",
    full_name="1.f",
    description="1.d",
    domain="lab",
    role="user",
    status="active",
    resource_policy="default",
)
DOMAIN = DomainCreated(name="lab")
PROJECT = ProjectCreated(project_id="p-1", domain="lab", name="a", project_type="general")
ELSEWHERE = ProjectCreated(project_id="p-2", domain="lab", name="b", project_type="general")
JOINED = ProjectMemberAdded(project_id="p-1", user_id="u-1")
LEFT = ProjectMemberRemoved(project_id="p-1", user_id="u-1")
ASLEEP, AWAKE = UserDeactivated(user_id="u-1"), UserActivated(user_id="u-1")
CHIEF = UserRoleChanged(user_id="u-1", role="superadmin")
CLOSED, OPEN = (ProjectChanged(project_id="p-1", is_active=active) for active in (False, True))
SHUT, BACK = (DomainChanged(name="lab", is_active=active) for active in (False, True))
BORN_CLOSED = ProjectCreated(
    project_id="p-1", domain="lab", name="a", project_type="general", is_active=False
)


def after(*events: Event) -> UsersView:
    view = UsersView()
    for event in events:
        view.apply(event)
    return view


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((PROJECT, USER, JOINED), None),
        ((PROJECT, USER), "not_a_member"),
        ((PROJECT, USER, JOINED, LEFT), "not_a_member"),
        ((PROJECT, USER, JOINED, LEFT, JOINED), None),
        ((PROJECT, USER, CHIEF), None),
        ((PROJECT, USER, JOINED, CLOSED), "project_inactive"),
        ((PROJECT, USER, CHIEF, CLOSED), "project_inactive"),
        ((BORN_CLOSED, USER, JOINED), "project_inactive"),
        ((PROJECT, USER, JOINED, CLOSED, OPEN), None),
        ((PROJECT, USER, JOINED, SHUT), "domain_inactive"),
        ((PROJECT, USER, JOINED, SHUT, BACK), None),
        ((USER,), "project_not_found"),
        ((PROJECT, USER, JOINED, ProjectChanged(project_id="p-1", description="x")), None),
    ],
)
def test_who_works_in_a_project(events: tuple[Event, ...], code: str | None) -> None:
    problem = after(DOMAIN, *events).project_problem("u-1", "p-1", "lab")
    assert (problem.code if problem else None) == code


def test_only_active_users_have_sessions() -> None:
    for events, code in (
        ((), "user_not_found"),
        ((USER,), None),
        ((USER, ASLEEP), "user_not_active"),
        ((USER, ASLEEP, AWAKE), None),
    ):
        problem = after(*events).user_problem("u-1")
        assert (problem.code if problem else None) == code
