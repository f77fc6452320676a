"""A kill -9 in the middle of a change leaves all of it or nothing, and a retry completes it."""

import asyncio
from typing import Any

import asyncpg

from shared.contracts.base import Accepted, Command
from shared.contracts.users import ChangeUser, CreateProject
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.security.transport import seal_password
from tests.users.integration.harness import Ground, Users, blocked, rejected

TABLES = ("events", "claims", "commands_done", "projects", "memberships", "logins")


async def everything(users: Users) -> dict[str, Any]:
    counts = {
        table: await users.database.fetchval(f"select count(*) from {table}") for table in TABLES
    }
    sums = await users.database.fetchrow(
        "select (select md5(string_agg(accounts::text, ';' order by user_id)) from accounts),"
        " (select md5(string_agg(credentials::text, ';' order by user_id)) from credentials)"
    )
    return {**counts, "sums": tuple(sums)}


async def killed_and_repeated(users: Users, ground: Ground, command: Command) -> Accepted:
    """Kill the service while the command's transaction waits for its last step; then repeat it."""
    before, key = await everything(users), CommandKey(f"tester {new_id()}", "digest")
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select * from log_head for update")
    lost = asyncio.ensure_future(users.send(command, key, timeout_s=3))
    await blocked(users.database)
    await users.service.kill()
    await holding.rollback()
    await blocker.close()
    assert await everything(users) == before
    await users.service.start()
    reply = await users.send(command, key)
    assert isinstance(reply, Accepted), reply
    async with asyncio.timeout(30):
        assert rejected(await lost).kind == "unavailable"
    assert await users.send(command, key) == reply
    return reply


async def test_a_change_of_everything_about_a_user(users: Users, ground: Ground) -> None:
    user_id = (await users.created("broken"))["user_id"]
    await users.log_in("broken@example.org")
    command = ChangeUser(
        user_id=user_id,
        username="mended",
        role="admin",
        projects=(),
        sealed_password=seal_password(users.keyring, "another-1"),
    )
    await killed_and_repeated(users, ground, command)
    assert isinstance(await users.log_in("broken@example.org", "another-1"), Accepted)
    assert isinstance(await users.create("next", username="broken"), Accepted)
    assert rejected(await users.create("next2", username="mended")).code == "username_taken"


async def test_a_new_project_that_everybody_joins(users: Users, ground: Ground) -> None:
    people = await users.database.fetchval("select count(*) from accounts")
    wish = CreateProject(domain="default", name="all", project_type="model-store")
    done = await killed_and_repeated(users, ground, wish)
    joined = "select count(*) from memberships where project_id = $1"
    assert await users.database.fetchval(joined, done.result["project_id"]) == people > 0
