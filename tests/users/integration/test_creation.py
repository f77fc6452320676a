"""CreateUser through the real command path."""

import asyncio

import pytest

from shared.contracts.base import Accepted
from shared.contracts.users import ChangeUser, CreateUser
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.security.persons import PersonKey, open_text
from tests.users.integration.harness import Users, rejected


async def test_a_user_comes_with_a_keypair_and_joins_the_model_store(users: Users) -> None:
    result = await users.created("kim", full_name="Kim", description="of\nSeoul")
    (stream,) = [
        e for e in await users.events("UserCreated") if e["data"]["user_id"] == result["user_id"]
    ]
    key = PersonKey.unwrap(
        users.keyring, result["user_id"], (await users.keys(result["user_id"]))[result["user_id"]]
    )
    texts = {
        name: open_text(key, name, stream["data"][name])
        for name in ("email", "full_name", "username", "description")
    }
    assert texts == {
        "email": "kim@example.org",
        "full_name": "Kim",
        "username": "kim",
        "description": "of\nSeoul",
    }
    (keypair,) = [
        e["data"]
        for e in await users.events("KeypairIssued")
        if e["data"]["user_id"] == result["user_id"]
    ]
    assert keypair["access_key"] == result["access_key"]
    assert (keypair["is_main"], keypair["status"], keypair["rate_limit"]) == (
        True,
        "active",
        10_000,
    )
    stores = [
        e["data"]["project_id"]
        for e in await users.events("ProjectCreated")
        if e["data"]["project_type"] == "model-store"
    ]
    joined = [
        e["data"]["project_id"]
        for e in await users.events("ProjectMemberAdded")
        if e["data"]["user_id"] == result["user_id"]
    ]
    assert joined == stores


async def test_the_secret_key_of_the_answer_is_the_one_that_peers_get(users: Users) -> None:
    result = await users.created("secret")
    access_key = result["access_key"]
    secret = users.open_secret(access_key, result["sealed_secret_key"])
    assert len(secret) == 40
    answer = await users.secrets(access_key, "AKIANOBODY")
    assert users.open_secret(access_key, answer[access_key] or "") == secret
    assert answer["AKIANOBODY"] is None


async def test_a_user_joins_the_projects_asked_for(users: Users) -> None:
    projects = {
        e["data"]["name"]: e["data"]["project_id"] for e in await users.events("ProjectCreated")
    }
    result = await users.created("member", projects=(projects["default"],) * 2)
    joined = [
        e["data"]["project_id"]
        for e in await users.events("ProjectMemberAdded")
        if e["data"]["user_id"] == result["user_id"]
    ]
    assert sorted(joined) == sorted(projects.values())


async def test_every_wrong_field_is_named_and_nothing_changes(users: Users) -> None:
    before = await users.events()
    refusal = rejected(
        await users.create(
            "bad name ",
            password="short",
            domain="absent",
            resource_policy="absent",
            projects=("x",),
        )
    )
    assert refusal.kind == "invalid"
    assert {error.field for error in refusal.errors} == {
        "email",
        "username",
        "password",
        "domain",
        "resource_policy",
        "projects",
    }
    assert await users.events() == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "TAKEN@example.org", "username": "other"}, "email_taken"),
        ({"email": "other@example.org", "username": "Taken"}, "username_taken"),
    ],
)
async def test_names_are_taken_whatever_their_capitals(
    users: Users, changes: dict[str, str], code: str
) -> None:
    await users.create("taken")
    refusal = rejected(await users.create("x", **changes))
    assert (refusal.kind, refusal.code) == ("conflict", code)


async def test_the_address_of_an_inactive_user_is_taken(users: Users) -> None:
    made = await users.created("resting")
    leaves = ChangeUser(user_id=made["user_id"], status="inactive")
    assert isinstance(await users.send(leaves), Accepted)
    refusal = rejected(await users.create("x", email="resting@example.org", username="other"))
    assert (refusal.kind, refusal.code) == ("conflict", "email_taken")


async def test_of_many_that_want_one_name_at_once_one_gets_it(users: Users) -> None:
    replies = await asyncio.gather(*(users.create("racer") for _ in range(12)))
    winners = [reply for reply in replies if isinstance(reply, Accepted)]
    codes = {rejected(reply).code for reply in replies if reply not in winners}
    assert len(winners) == 1
    assert codes <= {"email_taken", "username_taken"}
    rows = await users.database.fetchval(
        "select count(*) from person_keys where user_id = $1", winners[0].result["user_id"]
    )
    assert rows == 1
    for table in ("person_keys", "credentials"):
        orphans = await users.database.fetchval(
            f"select count(*) from {table} where not exists"
            f" (select from events where stream = 'user-' || {table}.user_id)"
        )
        assert orphans == 0


async def test_the_same_request_again_gets_the_first_answer(users: Users) -> None:
    command = users.creation("again")
    key = CommandKey(f"tester {new_id()}", "digest")
    first = await users.send(command, key)
    before = await users.events()
    assert await users.send(command, key) == first
    other = rejected(await users.send(command, CommandKey(key.key, "other digest")))
    assert other.code == "idempotency_mismatch"
    assert await users.events() == before


async def test_the_same_request_many_times_at_once_creates_one_user(users: Users) -> None:
    command = users.creation("impatient")
    key = CommandKey(f"tester {new_id()}", "digest")
    replies = await asyncio.gather(*(users.send(command, key) for _ in range(6)))
    accepted = {reply.position for reply in replies if isinstance(reply, Accepted)}
    assert len(accepted) == 1
    created = [
        e
        for e in await users.events("UserCreated")
        if e["data"]["user_id"] == replies[0].result["user_id"]
    ]  # type: ignore[union-attr]
    assert len(created) == 1


async def test_a_password_that_was_not_sealed_here_is_malformed(users: Users) -> None:
    command = CreateUser(email="a@b.c", username="a", sealed_password="abcd123!")
    assert rejected(await users.send(command)).code == "malformed_password"


async def test_an_erased_person_has_no_key(users: Users) -> None:
    result = await users.created("erased")
    user_id = result["user_id"]
    assert (await users.keys(user_id))[user_id] is not None
    await users.database.execute("delete from person_keys where user_id = $1", user_id)
    assert await users.keys(user_id, "nobody") == {user_id: None, "nobody": None}
