"""What may become of a domain and a project, and who may belong to a project."""

from typing import Any

import msgspec
import pytest

from services.users.domain import domain, membership, project
from services.users.domain.membership import Membership, Person, Place
from services.users.domain.project import Change, NewProject
from shared.contracts.base import Event
from shared.contracts.users import (
    ChangeDomain,
    ChangeProject,
    CreateDomain,
    CreateProject,
    DomainChanged,
    DomainCreated,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    RemoveProjectMember,
    SetProjectMember,
)
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.testing.spec import given

DOMAIN = Decider(domain.INITIAL, domain.evolve, domain.decide)
PROJECT = Decider(project.INITIAL, project.evolve, project.decide)

DEFAULT = DomainCreated(name="default")
HOSTS = {"local": ("create-vfolder", "upload-file")}
SLOTS = {"cpu": 4000, "mem": None}
WISH = CreateProject(domain="default", name="a", project_type="general")
MADE = ProjectCreated(project_id="p-1", domain="default", name="a", project_type="general")
FACTS = NewProject(project_id="p-1", domain_active=True)
ADDED = ProjectMemberAdded(project_id="p-1", user_id="u-1")
OPEN = Membership(Place("default"), Person("default"))
JOIN = SetProjectMember(project_id="p-1", user_id="u-1")
LEAVE = RemoveProjectMember(project_id="p-1", user_id="u-1")

BAD_TENANT = [
    ({"description": "x" * 501}, "description", "too_long"),
    ({"description": "\x00"}, "description", "control_character"),
    ({"allowed_hosts": {"": ()}}, "allowed_hosts", "host_name"),
    ({"allowed_hosts": {"local": ("fly",)}}, "allowed_hosts.local", "unknown_permission"),
    ({"allowed_hosts": {"local": ("upload-file",) * 2}}, "allowed_hosts.local", "repeated"),
    ({"allowed_hosts": {f"h{n}": () for n in range(65)}}, "allowed_hosts", "too_many"),
    ({"total_resource_slots": {"": 1}}, "total_resource_slots", "slot_name"),
    ({"total_resource_slots": {"cpu": -1}}, "total_resource_slots.cpu", "out_of_range"),
    ({"total_resource_slots": {"cpu": 2**61}}, "total_resource_slots.cpu", "out_of_range"),
    (
        {"total_resource_slots": {f"s{n}": 1 for n in range(65)}},
        "total_resource_slots",
        "too_many",
    ),
]


def fields(refusal: Rejection) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in refusal.errors]


def test_a_domain_is_created_once() -> None:
    wish = CreateDomain(name="default", allowed_hosts=HOSTS, total_resource_slots=SLOTS)
    created = DomainCreated(name="default", allowed_hosts=HOSTS, total_resource_slots=SLOTS)
    given(DOMAIN).when(wish).then(created)
    refusal = given(DOMAIN, DEFAULT).when(wish).rejected("domain_exists")
    assert (refusal.kind, refusal.details) == ("conflict", {"field": "name"})


@pytest.mark.parametrize("name", ["", "x" * 65, "a\n", " a", "a/b", "..", "."])
def test_a_domain_and_a_project_have_a_name(name: str) -> None:
    given(DOMAIN).when(CreateDomain(name=name)).rejected("invalid_request")
    wish = msgspec.structs.replace(WISH, name=name)
    given(PROJECT).when(wish, FACTS).rejected("invalid_request")


@pytest.mark.parametrize(("changes", "field", "code"), BAD_TENANT)
def test_what_breaks_a_rule_is_named(changes: dict[str, Any], field: str, code: str) -> None:
    for decider, facts, wish in (
        (given(DOMAIN), None, CreateDomain(name="a", **changes)),
        (given(DOMAIN, DEFAULT), None, ChangeDomain(name="default", **changes)),
        (given(PROJECT), FACTS, msgspec.structs.replace(WISH, **changes)),
        (given(PROJECT, MADE), Change(), ChangeProject(project_id="p-1", **changes)),
    ):
        assert fields(decider.when(wish, facts).rejected("invalid_request")) == [(field, code)]


def test_only_what_differs_of_a_domain_is_changed() -> None:
    exists = given(DOMAIN, DEFAULT)
    wish = ChangeDomain(name="default", is_active=False, description="")
    exists.when(wish).then(DomainChanged(name="default", is_active=False))
    exists.when(ChangeDomain(name="default", is_active=True, allowed_hosts={})).nothing()
    closed = given(DOMAIN, DEFAULT, DomainChanged(name="default", is_active=False))
    closed.when(ChangeDomain(name="default", is_active=False)).nothing()


def test_a_domain_that_is_absent_does_not_change() -> None:
    given(DOMAIN).when(ChangeDomain(name="a")).rejected("domain_not_found")


def test_a_project_is_created_once() -> None:
    given(PROJECT).when(WISH, FACTS).then(MADE)
    given(PROJECT, MADE).when(WISH, FACTS).rejected("project_exists")
    taken = msgspec.structs.replace(FACTS, name_taken=True)
    refusal = given(PROJECT).when(WISH, taken).rejected("project_exists")
    assert refusal.details == {"field": "name"}


def test_everybody_of_the_domain_joins_a_new_project_of_models_and_no_other() -> None:
    facts = msgspec.structs.replace(FACTS, joining=("u-1", "u-2"))
    given(PROJECT).when(WISH, facts).then(MADE)
    store = msgspec.structs.replace(WISH, project_type="model-store")
    made = msgspec.structs.replace(MADE, project_type="model-store")
    second = msgspec.structs.replace(ADDED, user_id="u-2")
    given(PROJECT).when(store, facts).then(made, ADDED, second)


@pytest.mark.parametrize(
    ("changes", "field", "code", "told"),
    [
        ({"domain_active": None}, "domain", "unknown_domain", "invalid_request"),
        ({"domain_active": False}, "domain", "domain_inactive", "domain_inactive"),
        ({"policy_exists": False}, "resource_policy", "unknown_policy", "invalid_request"),
    ],
)
def test_a_project_needs_an_active_domain_and_a_policy(
    changes: dict[str, Any], field: str, code: str, told: str
) -> None:
    facts = msgspec.structs.replace(FACTS, **changes)
    assert fields(given(PROJECT).when(WISH, facts).rejected(told)) == [(field, code)]


def test_only_what_differs_of_a_project_is_changed() -> None:
    exists = given(PROJECT, MADE, ADDED)
    wish = ChangeProject(project_id="p-1", is_active=False, resource_policy="default")
    exists.when(wish, Change()).then(ProjectChanged(project_id="p-1", is_active=False))
    exists.when(ChangeProject(project_id="p-1", description=""), Change()).nothing()
    closed = given(PROJECT, MADE, ProjectChanged(project_id="p-1", is_active=False))
    closed.when(ChangeProject(project_id="p-1", is_active=False), Change()).nothing()


def test_a_project_that_is_absent_does_not_change_and_a_policy_must_exist() -> None:
    wish = ChangeProject(project_id="p-1", resource_policy="gold")
    given(PROJECT).when(wish, Change()).rejected("project_not_found")
    refusal = given(PROJECT, MADE).when(wish, Change(policy_exists=False))
    assert fields(refusal.rejected("invalid_request")) == [("resource_policy", "unknown_policy")]


def changed(**place: Any) -> Membership:
    known = msgspec.structs.replace(OPEN.place, **place)
    return msgspec.structs.replace(OPEN, place=known)


def outcome(
    state: Membership, command: SetProjectMember | RemoveProjectMember
) -> tuple[Event, ...] | str:
    decided = membership.decide(state, command)
    return decided.code if isinstance(decided, Rejection) else decided


def member(role: str, **place: Any) -> Membership:
    return msgspec.structs.replace(changed(**place), role=role)


PROMOTE = SetProjectMember(project_id="p-1", user_id="u-1", role="admin")
PROMOTED = ProjectMemberRoleSet(project_id="p-1", user_id="u-1", role="admin")
GONE = ProjectMemberRemoved(project_id="p-1", user_id="u-1")


@pytest.mark.parametrize(
    ("state", "command", "expected"),
    [
        (OPEN, JOIN, (ADDED,)),
        (OPEN, PROMOTE, (msgspec.structs.replace(ADDED, role="admin"),)),
        (member("member"), JOIN, ()),
        (member("member"), PROMOTE, (PROMOTED,)),
        (member("member", is_active=False), PROMOTE, (PROMOTED,)),
        (member("admin"), LEAVE, (GONE,)),
        (member("member", is_active=False, domain_active=False), LEAVE, (GONE,)),
        (OPEN, LEAVE, "member_not_found"),
        (Membership(None, Person("default")), JOIN, "project_not_found"),
        (Membership(Place("default"), None), JOIN, "user_not_found"),
        (Membership(Place("default"), Person("other")), JOIN, "user_not_in_domain"),
        (Membership(Place("default"), Person("default", is_erased=True)), JOIN, "user_erased"),
        (changed(is_active=False), JOIN, "project_inactive"),
        (changed(domain_active=False), JOIN, "domain_inactive"),
        (member("member", project_type="model-store"), LEAVE, "model_store_member"),
    ],
)
def test_who_joins_and_leaves(
    state: Membership,
    command: SetProjectMember | RemoveProjectMember,
    expected: tuple[Event, ...] | str,
) -> None:
    assert outcome(state, command) == expected
