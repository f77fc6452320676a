"""The directory is read from the tables while events go on arriving."""

import asyncio

import asyncpg
import pytest_asyncio

from services.gateway.auth.directory import Directory
from shared.contracts.users import KeypairDeactivated, LoginEnded
from shared.eventlog.pool import open_pool
from tests.gateway.unit.test_directory import KEY, START, recorded

TABLES = """
    create table users (id text, role text, status text, domain text,
        sudo_session_enabled boolean, main_access_key text);
    create table keypairs (access_key text, user_id text, status text, rate_limit bigint);
    create table logins (id text, user_id text, is_over boolean, expires_at timestamptz);
    create table login_tokens (login_id text, token_hash text);
    insert into users values ('u1', 'user', 'active', 'lab', false, 'AK1');
    insert into keypairs values ('AK1', 'u1', 'active', 10);
    insert into logins values ('l1', 'u1', false, '2027-01-01T00:00:00Z');
    insert into login_tokens values ('l1', 'h1');
"""
WAITING = """
    select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database
    where datname = current_database() and not granted
"""


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres):
    return await postgres.database("gateway")


async def test_a_revocation_that_arrives_while_the_tables_are_read_is_not_undone(url):
    pool, other = await open_pool(url, name="gateway"), await asyncpg.connect(url)
    try:
        await other.execute(TABLES)
        directory = Directory()
        await directory.load(pool, START)
        assert directory.keypairs["AK1"].status == "active"
        assert directory.login("h1", START) is not None
        async with other.transaction():
            await other.execute("lock table login_tokens in access exclusive mode")
            reading = asyncio.create_task(directory.load(pool, START))
            async with asyncio.timeout(20):
                while not await other.fetchval(WAITING):
                    assert not reading.done()
            directory.apply(recorded(4, KeypairDeactivated(**KEY)))
            directory.apply(recorded(5, LoginEnded(login_id="l1", user_id="u1", reason="logout")))
        await reading
        assert directory.keypairs["AK1"].status == "inactive"
        assert directory.login("h1", START) is None
        assert directory.users["u1"].status == "active"
    finally:
        await other.close()
        await pool.close()
