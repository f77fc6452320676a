"""Domains, projects and members through the real command path."""

from typing import Any

import pytest

from shared.contracts.base import Accepted, Command
from shared.contracts.users import (
    ChangeDomain,
    ChangeProject,
    CreateDomain,
    CreateProject,
    RemoveProjectMember,
    SetProjectMember,
)
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from tests.users.integration.harness import Users, rejected


async def accepted(users: Users, command: Command) -> Accepted:
    reply = await users.send(command)
    assert isinstance(reply, Accepted), reply
    return reply


async def new_project(users: Users, domain: str, name: str, **more: Any) -> str:
    wish = CreateProject(domain=domain, name=name, **{"project_type": "general", **more})
    return str((await accepted(users, wish)).result["project_id"])


async def members(users: Users, project_id: str) -> dict[str, str]:
    rows = await users.database.fetch(
        "select user_id, role from memberships where project_id = $1", project_id
    )
    return dict(rows)


async def codes(users: Users, command: Command) -> tuple[str, set[tuple[str, str]]]:
    refusal = rejected(await users.send(command))
    return refusal.code, {(error.field, error.code) for error in refusal.errors}


async def test_a_domain_is_created_changed_and_said_once(users: Users) -> None:
    hosts = {"local": ("create-vfolder",)}
    await accepted(users, CreateDomain(name="lab", allowed_hosts=hosts))
    first = await accepted(users, ChangeDomain(name="lab", description="of\nlight"))
    again = await accepted(users, ChangeDomain(name="lab", description="of\nlight"))
    assert again.position == first.position
    mine = [e["data"] for e in await users.events("DomainCreated", "DomainChanged")]
    assert mine[-2]["allowed_hosts"] == {"local": ["create-vfolder"]}
    assert mine[-1] == {"type": "DomainChanged", "name": "lab", "description": "of\nlight"}


async def test_a_domain_is_there_once_however_many_ask_at_once(users: Users) -> None:
    replies = await users.together(*[CreateDomain(name="race") for _ in range(6)])
    assert sum(isinstance(reply, Accepted) for reply in replies) == 1
    assert {rejected(r).code for r in replies if not isinstance(r, Accepted)} == {"domain_exists"}


async def test_everybody_of_the_domain_joins_a_new_project_of_models_at_once(
    users: Users,
) -> None:
    await accepted(users, CreateDomain(name="models"))
    people = {(await users.created(f"m{n}", domain="models"))["user_id"] for n in range(3)}
    store = await new_project(users, "models", "store", project_type="model-store")
    assert set(await members(users, store)) == people
    joined = [e for e in await users.events("ProjectMemberAdded") if e["stream"].endswith(store)]
    created = [e for e in await users.events("ProjectCreated") if e["stream"].endswith(store)]
    assert {e["meta"]["correlation_id"] for e in joined} == {created[0]["meta"]["correlation_id"]}
    late = await users.created("late", domain="models")
    assert set(await members(users, store)) == {*people, late["user_id"]}


async def test_a_project_of_models_and_users_that_come_at_once_miss_nobody(users: Users) -> None:
    await accepted(users, CreateDomain(name="rush"))
    wish = CreateProject(domain="rush", name="store", project_type="model-store")
    commands = [users.creation(f"rush{n}", domain="rush") for n in range(5)]
    replies = await users.together(*commands[:2], wish, *commands[2:])
    assert all(isinstance(reply, Accepted) for reply in replies), replies
    store = next(r.result["project_id"] for r in replies if "project_id" in r.result)
    people = {r.result["user_id"] for r in replies if "user_id" in r.result}
    assert set(await members(users, store)) == people


async def test_a_project_s_name_is_taken_within_its_domain(users: Users) -> None:
    await accepted(users, CreateDomain(name="names"))
    await new_project(users, "names", "default")
    wish = CreateProject(domain="names", name="default", project_type="general")
    assert rejected(await users.send(wish)).details == {"field": "name"}
    many = [CreateProject(domain="names", name="one", project_type="general") for _ in range(5)]
    replies = await users.together(*many)
    assert sum(isinstance(reply, Accepted) for reply in replies) == 1


async def test_a_repeated_creation_gets_the_first_answer(users: Users) -> None:
    wish = CreateProject(domain="default", name="again", project_type="general")
    key = CommandKey(f"tester {new_id()}", "digest")
    first = await users.send(wish, key)
    assert await users.send(wish, key) == first
    other = CommandKey(key.key, "another digest")
    assert rejected(await users.send(wish, other)).code == "idempotency_mismatch"


async def test_a_project_is_changed_without_reading_its_members(users: Users) -> None:
    project_id = await new_project(users, "default", "plain")
    user_id = (await users.created("plainmember", projects=(project_id,)))["user_id"]
    change = ChangeProject(
        project_id=project_id, description="d", total_resource_slots={"cpu": 1000, "mem": None}
    )
    first = await accepted(users, change)
    assert (await accepted(users, change)).position == first.position
    await accepted(users, ChangeProject(project_id=project_id, is_active=False))
    row = await users.database.fetchrow(
        "select is_active, resource_policy from projects where project_id = $1", project_id
    )
    assert tuple(row) == (False, "default")
    assert await members(users, project_id) == {user_id: "member"}


async def test_members_join_rise_and_leave(users: Users) -> None:
    project_id = await new_project(users, "default", "team")
    user_id = (await users.created("teamy"))["user_id"]
    both = {"project_id": project_id, "user_id": user_id}
    await accepted(users, SetProjectMember(**both))
    first = await accepted(users, SetProjectMember(**both, role="admin"))
    assert (await accepted(users, SetProjectMember(**both, role="admin"))).position == (
        first.position
    )
    assert await members(users, project_id) == {user_id: "admin"}
    await accepted(users, RemoveProjectMember(**both))
    assert await members(users, project_id) == {}
    types = [e["type"] for e in await users.events() if e["stream"].endswith(project_id)]
    assert types == [
        "ProjectCreated",
        "ProjectMemberAdded",
        "ProjectMemberRoleSet",
        "ProjectMemberRemoved",
    ]


async def test_a_member_joins_once_however_many_ask_at_once(users: Users) -> None:
    project_id = await new_project(users, "default", "crowd")
    user_id = (await users.created("crowdy"))["user_id"]
    wish = SetProjectMember(project_id=project_id, user_id=user_id)
    replies = await users.together(*[wish] * 6)
    assert all(isinstance(reply, Accepted) for reply in replies)
    added = [e for e in await users.events("ProjectMemberAdded") if project_id in e["stream"]]
    assert len(added) == 1


async def test_nobody_new_enters_what_is_inactive(users: Users) -> None:
    await accepted(users, CreateDomain(name="closing"))
    project_id = await new_project(users, "closing", "room")
    user_id = (await users.created("insider", domain="closing"))["user_id"]
    join = SetProjectMember(project_id=project_id, user_id=user_id)
    await accepted(users, ChangeProject(project_id=project_id, is_active=False))
    assert (await codes(users, join))[0] == "project_inactive"
    newcomer = users.creation("newcomer", domain="closing", projects=(project_id,))
    assert (await codes(users, newcomer))[0] == "project_inactive"
    await accepted(users, ChangeProject(project_id=project_id, is_active=True))
    await accepted(users, ChangeDomain(name="closing", is_active=False))
    assert (await codes(users, join))[0] == "domain_inactive"
    assert (await codes(users, users.creation("newcomer", domain="closing")))[0] == (
        "domain_inactive"
    )
    room = CreateProject(domain="closing", name="annex", project_type="general")
    assert (await codes(users, room))[0] == "domain_inactive"
    assert isinstance(await users.log_in("insider@example.org"), Accepted)
    await accepted(users, ChangeDomain(name="closing", is_active=True))
    await accepted(users, join)


async def test_of_those_who_enter_while_a_domain_closes_none_comes_after_it(
    users: Users,
) -> None:
    await accepted(users, CreateDomain(name="door"))
    commands = [users.creation(f"door{n}", domain="door") for n in range(8)]
    close = ChangeDomain(name="door", is_active=False)
    replies = await users.together(*commands[:3], close, *commands[3:])
    refused = {rejected(r).code for r in replies if not isinstance(r, Accepted)}
    assert refused <= {"domain_inactive"}
    events = await users.events("UserCreated", "DomainChanged")
    types = [
        e["type"] for e in events if "door" in (e["data"].get("domain"), e["data"].get("name"))
    ]
    assert types[-1] == "DomainChanged"
    assert types.count("UserCreated") == sum(
        "user_id" in r.result for r in replies if isinstance(r, Accepted)
    )


@pytest.mark.parametrize(
    ("command", "code", "fields"),
    [
        (ChangeDomain(name="absent"), "domain_not_found", set()),
        (ChangeProject(project_id="absent"), "project_not_found", set()),
        (
            CreateProject(domain="absent", name="", project_type="general", resource_policy="x"),
            "invalid_request",
            {
                ("domain", "unknown_domain"),
                ("name", "length"),
                ("resource_policy", "unknown_policy"),
            },
        ),
        (
            CreateDomain(name="a/b", allowed_hosts={"local": ("fly",)}),
            "invalid_request",
            {("name", "characters"), ("allowed_hosts.local", "unknown_permission")},
        ),
        (SetProjectMember(project_id="absent", user_id="x"), "project_not_found", set()),
        (RemoveProjectMember(project_id="absent", user_id="x"), "project_not_found", set()),
    ],
)
async def test_what_is_absent_or_wrong_is_named_and_nothing_changes(
    users: Users, command: Command, code: str, fields: set[tuple[str, str]]
) -> None:
    before = len(await users.events())
    assert await codes(users, command) == (code, fields)
    assert len(await users.events()) == before


async def test_members_are_users_of_the_domain_and_stay_with_its_models(users: Users) -> None:
    await accepted(users, CreateDomain(name="far"))
    far = await new_project(users, "far", "far")
    user_id = (await users.created("homely"))["user_id"]
    foreign = SetProjectMember(project_id=far, user_id=user_id)
    assert await codes(users, foreign) == (
        "user_not_in_domain",
        {("user_id", "user_not_in_domain")},
    )
    nobody = SetProjectMember(project_id=far, user_id="nobody")
    assert (await codes(users, nobody))[0] == "user_not_found"
    leave = RemoveProjectMember(project_id=far, user_id=user_id)
    assert (await codes(users, leave))[0] == "member_not_found"
    store = await users.database.fetchval(
        "select project_id from projects where domain = 'default' and project_type = 'model-store'"
    )
    stay = RemoveProjectMember(project_id=store, user_id=user_id)
    assert (await codes(users, stay))[0] == "model_store_member"
    gold = ChangeProject(project_id=far, resource_policy="gold")
    assert await codes(users, gold) == (
        "invalid_request",
        {("resource_policy", "unknown_policy")},
    )
