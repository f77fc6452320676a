"""What a kill -9 leaves: all of a change or nothing of it."""

import asyncio
import json
from pathlib import Path

import asyncpg

from shared.contracts.base import Accepted, Reply
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from tests.users.integration.harness import ADMIN, Ground, Users, blocked, rejected

TABLES = ("person_keys", "credentials", "keypair_secrets", "claims", "events", "commands_done")


async def counts(connection: asyncpg.Connection) -> dict[str, int]:
    return {table: await connection.fetchval(f"select count(*) from {table}") for table in TABLES}


async def test_a_user_whose_creation_is_killed_half_way_is_created_by_the_retry(
    users: Users, ground: Ground
) -> None:
    before = await counts(users.database)
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    command, key = users.creation("survivor"), CommandKey(f"tester {new_id()}", "digest")
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select * from log_head for update")
    lost = asyncio.ensure_future(users.send(command, key, timeout_s=3))
    await blocked(users.database)
    await users.service.kill()
    await holding.rollback()
    await blocker.close()
    assert await counts(users.database) == before
    await users.service.start()
    reply = await users.send(command, key)
    assert isinstance(reply, Accepted)
    assert rejected(await _answer(lost)).kind == "unavailable"
    after = await counts(users.database)
    assert after["person_keys"] == before["person_keys"] + 1
    assert after["keypair_secrets"] == before["keypair_secrets"] + 1
    assert after["claims"] == before["claims"] + 2
    assert after["commands_done"] == before["commands_done"] + 1
    assert isinstance(await users.log_in("survivor@example.org"), Accepted)


async def _answer(lost: "asyncio.Future[Reply]") -> Reply:
    async with asyncio.timeout(30):
        return await lost


async def test_a_second_start_makes_no_second_administrator(users: Users) -> None:
    before = await users.events()
    await users.service.stop()
    await users.service.start()
    assert await users.events() == before
    roles = [event["data"]["role"] for event in await users.events("UserCreated")]
    assert roles.count("superadmin") == 1
    names = [event["data"]["name"] for event in await users.events("ProjectCreated")]
    assert sorted(names) == ["default", "model-store"]


async def test_another_password_in_the_file_changes_nothing(users: Users, ground: Ground) -> None:
    path = Path(ground.environ["QM_BOOTSTRAP_FILE"])
    await users.service.stop()
    changed = json.dumps({**ADMIN, "password": "another-Passw0rd"})
    await asyncio.to_thread(path.write_text, changed)
    await users.service.start()
    assert isinstance(await users.log_in(ADMIN["email"], ADMIN["password"]), Accepted)
