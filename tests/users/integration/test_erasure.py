"""EraseUser: nothing of a person is left, and history stays valid."""

import asyncio
from typing import Any

import asyncpg

from shared.contracts.base import Accepted, Reply
from shared.contracts.users import (
    BeginTotp,
    ChangeUser,
    CreateProject,
    EraseUser,
    IssueKeypair,
    SetProjectMember,
    UserCreated,
)
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from tests.users.integration.authenticator import enrolled
from tests.users.integration.harness import Ground, Users, blocked, rejected

ROWS = {
    "person_keys": "user_id = $1",
    "credentials": "user_id = $1",
    "totp_seeds": "user_id = $1",
    "logins": "user_id = $1",
    "claims": "owner = $1",
    "commands_done": "result->>'user_id' = $1 or starts_with(idempotency_key, $1)",
}


async def left(users: Users, user_id: str) -> dict[str, int]:
    return {
        table: await users.database.fetchval(f"select count(*) from {table} where {where}", user_id)
        for table, where in ROWS.items()
    }


async def accepted(users: Users, command: Any, key: CommandKey | None = None) -> Accepted:
    reply = await users.send(command, key)
    assert isinstance(reply, Accepted), reply
    return reply


async def asleep(users: Users, name: str) -> str:
    user_id = str((await users.created(name))["user_id"])
    await accepted(users, ChangeUser(user_id=user_id, status="inactive"))
    return user_id


async def erase(users: Users, user_id: str, by: str = "tester") -> Reply:
    return await users.send(EraseUser(user_id=user_id), by=by)


async def test_nothing_of_a_person_is_left(users: Users) -> None:
    creation = CommandKey(f"tester {new_id()}", "digest")
    made = (await accepted(users, users.creation("gone"), creation)).result
    user_id = str(made["user_id"])
    second = (await accepted(users, IssueKeypair(user_id=user_id))).result["access_key"]
    begun = CommandKey(f"{user_id}:{new_id()}", "digest")
    await accepted(users, BeginTotp(user_id=user_id), begun)
    login = await users.log_in("gone@example.org")
    await users.log_in("gone@example.org", "wrong-password-1")
    attempts = await users.database.fetchval("select count(*) from login_attempts")
    assert await left(users, user_id) == {
        **dict.fromkeys(ROWS, 1),
        "claims": 2,
        "commands_done": 2,
    }
    await accepted(users, ChangeUser(user_id=user_id, status="inactive"))
    await accepted(users, EraseUser(user_id=user_id))
    assert await left(users, user_id) == dict.fromkeys(ROWS, 0)
    assert await users.database.fetchval("select count(*) from login_attempts") == attempts - 1
    assert await users.keys(user_id) == {user_id: None}
    events = [
        (e["type"], e["data"].get("access_key") or e["data"].get("login_id"))
        for e in await users.events("KeypairDeactivated", "UserErased", "LoginEnded")
        if e["data"]["user_id"] == user_id
    ]
    assert set(events) == {
        ("KeypairDeactivated", made["access_key"]),
        ("KeypairDeactivated", second),
        ("UserErased", None),
        ("LoginEnded", login.result["login_id"]),  # type: ignore[union-attr]
    }


async def test_the_names_of_an_erased_person_are_free_and_the_account_is_closed(
    users: Users,
) -> None:
    user_id = await asleep(users, "freed")
    first = await erase(users, user_id)
    assert isinstance(first, Accepted)
    assert rejected(await users.log_in("freed@example.org")).code == "invalid_credentials"
    again = await erase(users, user_id)
    assert isinstance(again, Accepted)
    assert again.position == first.position
    for fields in ({"status": "active"}, {"username": "back"}, {"projects": ()}):
        refusal = rejected(await users.send(ChangeUser(user_id=user_id, **fields)))
        assert (refusal.kind, refusal.code) == ("conflict", "user_erased")
    assert (await users.created("freed"))["user_id"] != user_id


async def test_who_is_not_erased(users: Users) -> None:
    user_id = (await users.created("awake"))["user_id"]
    refusal = rejected(await erase(users, user_id))
    assert (refusal.kind, refusal.code) == ("conflict", "user_active")
    waiting = (await users.created("waiting", status="before_verification"))["user_id"]
    assert rejected(await erase(users, waiting)).code == "user_active"
    assert rejected(await erase(users, "nobody")).code == "user_not_found"
    own = rejected(await erase(users, user_id, by=user_id))
    assert (own.kind, own.code) == ("forbidden", "own_account")


async def test_an_erased_person_joins_nothing(users: Users) -> None:
    user_id = await asleep(users, "nevermore")
    await erase(users, user_id)
    project_id = await users.database.fetchval(
        "select project_id from projects where domain = 'default' and name = 'default'"
    )
    join = SetProjectMember(project_id=project_id, user_id=user_id)
    assert rejected(await users.send(join)).code == "user_erased"
    wish = CreateProject(domain="default", name="later store", project_type="model-store")
    store = (await accepted(users, wish)).result["project_id"]
    members = await users.database.fetch(
        "select user_id from memberships where project_id = $1", store
    )
    assert user_id not in {row["user_id"] for row in members}
    assert members


async def test_whatever_meets_an_erasure_comes_before_it_or_is_refused(users: Users) -> None:
    for n in range(4):
        user_id = await asleep(users, f"crossing{n}")
        replies = await users.together(
            ChangeUser(user_id=user_id, username=f"crossed{n}"),
            EraseUser(user_id=user_id),
            IssueKeypair(user_id=user_id),
            ChangeUser(user_id=user_id, full_name="New"),
        )
        assert isinstance(replies[1], Accepted)
        others = (reply for reply in replies if not isinstance(reply, Accepted))
        assert {rejected(reply).code for reply in others} <= {"user_erased"}
        assert await left(users, user_id) == dict.fromkeys(ROWS, 0)
        active = await users.database.fetchval(
            "select count(*) from keypairs where user_id = $1 and status = 'active'", user_id
        )
        assert active == 0


async def test_an_erasure_that_is_killed_half_way_has_erased_nothing_and_can_be_repeated(
    users: Users, ground: Ground
) -> None:
    user_id, _ = await enrolled(users, "halfway")
    await accepted(users, ChangeUser(user_id=user_id, status="inactive"))
    before = await left(users, user_id)
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select * from log_head for update")
    command, key = EraseUser(user_id=user_id), CommandKey(f"tester {new_id()}", "digest")
    lost = asyncio.ensure_future(users.send(command, key, timeout_s=3))
    await blocked(users.database)
    await users.service.kill()
    await holding.rollback()
    await blocker.close()
    assert await left(users, user_id) == before
    await users.service.start()
    assert (await users.keys(user_id))[user_id] is not None
    await accepted(users, command, key)
    assert await left(users, user_id) == dict.fromkeys(ROWS, 0)
    async with asyncio.timeout(30):
        assert rejected(await lost).kind == "unavailable"


async def test_the_log_is_valid_and_readable_without_the_person(
    users: Users, ground: Ground
) -> None:
    user_id = await asleep(users, "chained")
    await erase(users, user_id)
    pool = await open_pool(ground.admin_url, name="reader", schema="users")
    log = EventLog(pool, codec_for("users"))
    assert (await log.verify()).damage is None
    (created, *_) = (await log.load(f"user-{user_id}")).events
    assert isinstance(created, UserCreated)
    await pool.close()
