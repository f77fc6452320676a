"""A database is brought up to date once, and seen to be so afterwards."""

import secrets
from pathlib import Path

import asyncpg
import pytest

from deploy.fingerprint import fingerprint
from deploy.provision import provision
from shared.eventlog.migrate import SERVICES
from shared.testing.servers import NatsServer, PostgresServer


@pytest.fixture
def passwords():
    return {service: secrets.token_urlsafe(24) for service in SERVICES}


@pytest.fixture
async def place(own_postgres: PostgresServer):
    name = f"p_{secrets.token_hex(6)}"
    yield own_postgres.admin_url(name)
    await own_postgres.drop(name)


async def schemas(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT nspname FROM pg_namespace")
    await connection.close()
    return {row["nspname"] for row in rows}


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


async def test_a_missing_database_is_made_and_each_role_reaches_its_schema_only(
    place: str, nats_server: NatsServer, passwords: dict[str, str]
):
    await provision(place, nats_server.url, passwords)
    assert await schemas(place) >= set(SERVICES)
    address = place.rpartition("@")[2]
    users = await asyncpg.connect(f"postgresql://qm_users:{passwords['users']}@{address}")
    assert await users.fetchval("SELECT count(*) FROM events") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await users.fetchval("SELECT count(*) FROM scheduler.events")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await users.execute("CREATE TABLE public.mine (n int)")
    await users.close()


async def test_what_is_current_is_not_migrated_again(
    place: str, nats_server: NatsServer, passwords: dict[str, str], monkeypatch
):
    await provision(place, nats_server.url, passwords)
    monkeypatch.setattr("shared.eventlog.migrate.migrate", pytest.fail)
    await provision(place, nats_server.url, passwords)


async def test_an_emptied_database_is_made_anew(
    place: str, nats_server: NatsServer, passwords: dict[str, str], own_postgres: PostgresServer
):
    await provision(place, nats_server.url, passwords)
    await own_postgres.drop(place.rpartition("/")[2])
    await provision(place, nats_server.url, passwords)
    assert await schemas(place) >= set(SERVICES)


async def test_a_new_password_is_set(
    place: str, nats_server: NatsServer, passwords: dict[str, str]
):
    await provision(place, nats_server.url, passwords)
    changed = {**passwords, "users": secrets.token_urlsafe(24)}
    await provision(place, nats_server.url, changed)
    address = place.rpartition("@")[2]
    await execute(f"postgresql://qm_users:{changed['users']}@{address}", "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await execute(f"postgresql://qm_users:{passwords['users']}@{address}", "SELECT 1")


def test_the_fingerprint_changes_with_a_revision_and_shows_no_password(tmp_path: Path, passwords):
    versions = tmp_path / "services" / "users" / "schema" / "versions"
    versions.mkdir(parents=True)
    before = fingerprint(passwords, tmp_path)
    (versions / "0002_more.py").write_text("revision = '0002'\n")
    after = fingerprint(passwords, tmp_path)
    assert before != after == fingerprint(dict(reversed(passwords.items())), tmp_path)
    assert fingerprint({**passwords, "users": "other"}, tmp_path) != after
