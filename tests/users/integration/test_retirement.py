"""Policies that nobody uses are deleted, and nobody gets them any more; through both services."""

import asyncio
from typing import Any

import asyncpg
import pytest

from shared.contracts.base import Accepted, Command
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    DeletePolicy,
    PolicyKind,
)
from shared.contracts.users import (
    ChangeKeypair,
    ChangeProject,
    ChangeUser,
    CreateProject,
    EraseUser,
    IssueKeypair,
    ReinstatePolicy,
    RetirePolicy,
)
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.testing.eventually import eventually
from tests.users.integration.harness import Ground, Users, blocked, rejected
from tests.users.integration.policies import done, new_policy

# what a killed process had sent would still be done
END_OF_POLICIES = (
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'qm_policies'"
)


async def assignments(users: Users, kind: PolicyKind, name: str) -> list[Command]:
    """Return every way in which somebody who exists can be given a policy."""
    user = await users.created(f"{kind}-{name}")
    if kind == "user":
        return [
            ChangeUser(user_id=user["user_id"], resource_policy=name),
            users.creation(f"new-{kind}-{name}", resource_policy=name),
        ]
    if kind == "keypair":
        return [
            ChangeKeypair(access_key=user["access_key"], resource_policy=name),
            IssueKeypair(user_id=user["user_id"], resource_policy=name),
        ]
    wish = CreateProject(domain="default", name=f"p-{name}", project_type="general")
    project_id = (await done(users, wish)).result["project_id"]
    return [
        ChangeProject(project_id=project_id, resource_policy=name),
        CreateProject(
            domain="default", name=f"q-{name}", project_type="general", resource_policy=name
        ),
    ]


async def let_go(users: Users, kind: PolicyKind, name: str) -> None:
    """Give everybody who uses a policy the default one."""
    table, column = {
        "user": ("accounts", "user_id"),
        "keypair": ("keypairs", "access_key"),
        "project": ("projects", "project_id"),
    }[kind]
    found = await users.database.fetch(
        f"select {column} as id from {table} where resource_policy = $1", name
    )
    change = {"user": ChangeUser, "keypair": ChangeKeypair, "project": ChangeProject}[kind]
    for row in found:
        await done(users, change(**{column: row["id"]}, resource_policy="default"))


@pytest.mark.parametrize("kind", ["keypair", "user", "project"])
async def test_a_policy_is_deleted_once_nobody_uses_it_and_then_given_to_nobody(
    users: Users, kind: PolicyKind
) -> None:
    seen = await new_policy(users, kind, "short")
    ways = await assignments(users, kind, "short")
    for way in ways:
        await done(users, way, seen=seen)
    refused = rejected(await users.send(DeletePolicy(kind=kind, name="short")))
    assert (refused.kind, refused.code) == ("conflict", "policy_in_use")
    assert refused.details["count"] == 2
    assert {one["type"] for one in refused.details["references"]} == {kind}
    await let_go(users, kind, "short")
    deletion, key = DeletePolicy(kind=kind, name="short"), CommandKey(new_id(), "digest")
    deleted = await done(users, deletion, key=key)
    assert await users.send(deletion, key) == deleted
    # at once, also where the deletion has not been heard of
    for way in ways:
        errors = rejected(await users.send(way)).errors
        assert [(error.field, error.code) for error in errors] == [
            ("resource_policy", "unknown_policy")
        ]
    assert rejected(await users.send(deletion)).kind == "not_found"
    seen = await new_policy(users, kind, "short")
    await done(users, ways[0], seen=seen)


async def test_whoever_is_not_active_uses_a_policy_too_and_the_erased_do_not(users: Users) -> None:
    seen = await new_policy(users, "user", "kept") | await new_policy(users, "keypair", "kept")
    person = await users.created("leaver")
    gives = (
        ChangeUser(user_id=person["user_id"], resource_policy="kept"),
        ChangeKeypair(access_key=person["access_key"], resource_policy="kept"),
        ChangeUser(user_id=person["user_id"], status="inactive"),
    )
    for command in gives:
        await done(users, command, seen=seen)
    ends = [DeletePolicy(kind="user", name="kept"), DeletePolicy(kind="keypair", name="kept")]
    for end in ends:
        assert rejected(await users.send(end)).code == "policy_in_use"
    await done(users, EraseUser(user_id=person["user_id"]))
    for end in ends:
        await done(users, end)


async def test_what_new_keypairs_get_follows_the_default_and_that_one_is_not_deleted(
    users: Users,
) -> None:
    await new_policy(users, "keypair", "next")
    taken = await done(users, ChangeKeypairPolicy(name="next", is_default=True))
    refused = rejected(await users.send(DeletePolicy(kind="keypair", name="next")))
    assert refused.code == "default_policy"
    assert not await retired(users, "next")
    reply = await users.send(users.creation("later"), seen={"policies": taken.position})
    assert isinstance(reply, Accepted)
    policy = "select resource_policy from keypairs where access_key = $1"
    assert await users.database.fetchval(policy, reply.result["access_key"]) == "next"
    await done(users, ChangeKeypairPolicy(name="default", is_default=True))
    await let_go(users, "keypair", "next")
    await done(users, DeletePolicy(kind="keypair", name="next"))
    # whoever deletes it has waited until this service knows of the other default
    given = await users.created("after")
    assert await users.database.fetchval(policy, given["access_key"]) == "default"


async def retired(users: Users, name: str) -> int:
    found: int = await users.database.fetchval(
        "select count(*) from retired_policies where name = $1", name
    )
    return found


async def test_of_late_words_about_a_policy_the_newer_one_counts(users: Users) -> None:
    about: dict[str, Any] = {"kind": "user", "name": "ghost", "created": 3}
    await done(users, RetirePolicy(**about, as_of=1))
    await done(users, RetirePolicy(**about, as_of=1))
    await done(users, ReinstatePolicy(**about, as_of=1))
    assert await retired(users, "ghost")
    await done(users, ReinstatePolicy(**about, as_of=2))
    assert not await retired(users, "ghost")
    late = rejected(await users.send(RetirePolicy(**about, as_of=1)))
    assert late.code == "policy_changed"
    types = [(e["type"], e["data"].get("as_of")) for e in await of_name(users, "ghost")]
    assert types == [("PolicyRetired", 1), ("PolicyReinstated", 2)]


async def of_name(users: Users, name: str) -> list[dict[str, Any]]:
    events = await users.events("PolicyRetired", "PolicyReinstated")
    return [event for event in events if event["data"]["name"] == name]


async def test_a_deletion_that_is_killed_half_way_is_finished_at_the_next_start(
    users: Users, ground: Ground
) -> None:
    await new_policy(users, "project", "halved")
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "policies"})
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select from log_head for update")
    lost = asyncio.ensure_future(
        users.send(DeletePolicy(kind="project", name="halved"), timeout_s=3, by="somebody")
    )
    await blocked(users.database, "qm_policies")
    assert await retired(users, "halved"), "it was retired before"
    await ground.policies.kill()
    await blocker.execute(END_OF_POLICIES)
    await holding.rollback()
    assert rejected(await lost).kind == "unavailable"
    who = (
        "select meta->'actor'->>'id' from events"
        " where type = 'ProjectPolicyDeleted' and stream = 'project-policy-halved'"
    )
    assert await blocker.fetchval(who) is None
    await ground.policies.start()

    async def is_deleted() -> bool:
        return await blocker.fetchval(who) is not None

    await eventually(is_deleted)
    assert await blocker.fetchval(who) == "somebody", "it is still who asked for it that did it"
    await blocker.close()
    assert rejected(await users.send(DeletePolicy(kind="project", name="halved"))).kind == (
        "not_found"
    )


async def test_a_policy_that_is_another_one_by_now_is_reinstated(
    users: Users, ground: Ground
) -> None:
    await new_policy(users, "keypair", "chosen")
    policies = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "policies"})
    about = "select version, position from events where stream = 'keypair-policy-chosen'"
    version, created = await policies.fetchrow(about)
    await policies.close()
    taken = await done(users, ChangeKeypairPolicy(name="chosen", is_default=True))
    # what somebody had begun who is no longer there
    await done(users, RetirePolicy(kind="keypair", name="chosen", created=created, as_of=version))

    async def is_reinstated() -> bool:
        return [event["type"] for event in await of_name(users, "chosen")] == [
            "PolicyRetired",
            "PolicyReinstated",
        ]

    await eventually(is_reinstated)
    await done(users, users.creation("as-chosen"), seen={"policies": taken.position})
    await done(users, ChangeKeypairPolicy(name="default", is_default=True))


async def test_a_policy_of_the_longest_name_in_any_script_is_retired_and_deleted(
    users: Users,
) -> None:
    name = "🧪" * 255
    seen = await new_policy(users, "project", name)
    wish = CreateProject(
        domain="default", name="longest", project_type="general", resource_policy=name
    )
    project_id = (await done(users, wish, seen=seen)).result["project_id"]
    deletion = DeletePolicy(kind="project", name=name)
    assert rejected(await users.send(deletion)).code == "policy_in_use"
    await done(users, ChangeProject(project_id=project_id, resource_policy="default"))
    await done(users, deletion)
    seen = await new_policy(users, "project", name)
    await done(users, ChangeProject(project_id=project_id, resource_policy=name), seen=seen)
