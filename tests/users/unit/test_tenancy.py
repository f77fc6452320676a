"""What may become of a domain, a project and a keypair."""

import pytest

from services.users.domain import domain, project
from services.users.domain.domain import CreateDomain
from services.users.domain.project import AddMember, CreateProject
from shared.contracts.users import (
    DomainCreated,
    ProjectCreated,
    ProjectMemberAdded,
)
from shared.eventlog.decider import Decider
from shared.testing.spec import given

DOMAIN = Decider(domain.INITIAL, domain.evolve, domain.decide)
PROJECT = Decider(project.INITIAL, project.evolve, project.decide)

MADE = ProjectCreated(project_id="p-1", domain="default", name="a", project_type="general")
ADDED = ProjectMemberAdded(project_id="p-1", user_id="u-1")
JOIN = AddMember("p-1", "u-1", "default")


def test_a_domain_is_created_once() -> None:
    given(DOMAIN).when(CreateDomain("default"), None).then(DomainCreated(name="default"))
    exists = given(DOMAIN, DomainCreated(name="default"))
    exists.when(CreateDomain("default"), None).rejected("domain_exists")


@pytest.mark.parametrize("name", ["", "x" * 65, "a\n"])
def test_a_domain_has_a_name(name: str) -> None:
    given(DOMAIN).when(CreateDomain(name), None).rejected("invalid_request")


def test_a_project_is_created_once() -> None:
    wish = CreateProject("p-1", "default", "a")
    given(PROJECT).when(wish, None).then(MADE)
    given(PROJECT, MADE).when(wish, None).rejected("project_exists")


@pytest.mark.parametrize("name", ["", "x" * 65, "a\n"])
def test_a_project_has_a_name(name: str) -> None:
    given(PROJECT).when(CreateProject("p-1", "default", name), None).rejected("invalid_request")


def test_a_user_joins_a_project_once() -> None:
    given(PROJECT, MADE).when(JOIN, None).then(ADDED)
    given(PROJECT, MADE, ADDED).when(JOIN, None).nothing()


def test_a_member_can_become_a_project_s_admin() -> None:
    wish = AddMember("p-1", "u-1", "default", "admin")
    promoted = ProjectMemberAdded(project_id="p-1", user_id="u-1", role="admin")
    given(PROJECT, MADE, ADDED).when(wish, None).then(promoted)


def test_a_user_of_another_domain_does_not_join() -> None:
    given(PROJECT, MADE).when(AddMember("p-1", "u-1", "other"), None).rejected("invalid_request")


def test_nobody_joins_a_project_that_is_absent() -> None:
    given(PROJECT).when(JOIN, None).rejected("project_not_found")


