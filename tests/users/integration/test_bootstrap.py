"""The first start makes the tenancy and the administrator exactly once, whatever happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from services.users.bootstrap import Bootstrap, BootstrapError
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.security.passwords import PasswordHasher, PasswordParameters
from shared.security.sealing import Keyring
from shared.testing.servers import Databases
from tests.users.integration.harness import ADMIN

KEYRING = Keyring.generate()
COMPLETE = {
    "DomainCreated": 1,
    "ProjectCreated": 2,
    "UserCreated": 1,
    "KeypairIssued": 1,
    "ProjectMemberAdded": 2,
}
Start = Callable[[Path | None], Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres: Databases) -> str:
    return await postgres.database("users")


@pytest_asyncio.fixture(loop_scope="session")
async def start(url: str) -> AsyncIterator[Start]:
    pools = []

    async def run(file: Path | None) -> None:
        pool = await open_pool(url, name="users")
        pools.append(pool)
        hasher = PasswordHasher(PasswordParameters(64, 1, 1))
        log = EventLog(pool, codec_for("users"))
        try:
            await Bootstrap(log, KEYRING, hasher).run(file)
        finally:
            hasher.close()

    yield run
    for pool in pools:
        await pool.close()


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    path = tmp_path / "admin-credentials.json"
    path.write_text(json.dumps(ADMIN))
    return path


async def made(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select type, count(*) as n from events group by type")
    for table in ("person_keys", "credentials", "keypair_secrets"):
        count = await connection.fetchval(f"select count(*) from {table}")
        assert count == next((row["n"] for row in rows if row["type"] == "UserCreated"), 0)
    await connection.close()
    return {row["type"]: row["n"] for row in rows}


async def test_a_second_start_adds_nothing(start: Start, url: str, credentials: Path) -> None:
    for _ in range(2):
        await start(credentials)
        assert await made(url) == COMPLETE


async def test_several_processes_at_once_make_it_once(
    start: Start, url: str, credentials: Path
) -> None:
    await asyncio.gather(*(start(credentials) for _ in range(4)))
    assert await made(url) == COMPLETE


@pytest.mark.parametrize("stop_at", range(1, 8))
async def test_a_start_that_breaks_off_anywhere_is_completed_by_the_next(
    start: Start, url: str, credentials: Path, postgres: Databases, stop_at: int
) -> None:
    admin = await asyncpg.connect(postgres.as_admin(url))
    await admin.execute(
        f"alter table users.events add constraint stop check (position < {stop_at})"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await start(credentials)
    assert await made(url) == ({} if stop_at <= 3 else {"DomainCreated": 1, "ProjectCreated": 2})
    await admin.execute("alter table users.events drop constraint stop")
    await admin.close()
    await start(credentials)
    assert await made(url) == COMPLETE


async def test_without_a_file_there_is_no_administrator_until_there_is_one(
    start: Start, url: str, credentials: Path
) -> None:
    await start(None)
    assert await made(url) == {"DomainCreated": 1, "ProjectCreated": 2}
    await start(credentials)
    assert await made(url) == COMPLETE


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"email": 1}', json.dumps({**ADMIN, "password": "generated"})],
)
async def test_a_file_that_is_no_good_stops_the_start_without_showing_it(
    start: Start, url: str, credentials: Path, content: str
) -> None:
    await asyncio.to_thread(credentials.write_text, content)
    with pytest.raises(BootstrapError) as refused:
        await start(credentials)
    for secret in ADMIN.values():
        assert secret not in str(refused.value)
    assert "UserCreated" not in await made(url)


async def test_an_absent_file_stops_the_start(start: Start, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="cannot read"):
        await start(tmp_path / "absent.json")
