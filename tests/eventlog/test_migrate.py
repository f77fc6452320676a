"""Schemas and roles: every service from nothing to its newest revision, and no further rights."""

import asyncio

import asyncpg
import pytest

from shared.eventlog.migrate import SERVICES, main, migrate
from shared.testing.servers import Databases


async def test_every_service_gets_its_schema_and_a_second_run_changes_nothing(
    postgres: Databases,
):
    url = await postgres.empty()
    await migrate(url)
    before = await _everything(url)
    assert {schema for schema, *_ in before} >= set(SERVICES)
    await migrate(url)
    assert await _everything(url) == before


async def test_two_migrations_at_once_do_not_disturb_each_other(postgres: Databases):
    url = await postgres.empty()
    await asyncio.gather(migrate(url, ["users"]), migrate(url, ["users"]))
    assert ("users", "events") in {row[:2] for row in await _everything(url)}


async def test_no_role_reaches_into_another_service_s_schema(postgres: Databases):
    urls = await postgres.shared_by("users", "policies")
    connection = await asyncpg.connect(urls["users"])
    try:
        assert await connection.fetchval("select count(*) from events") == 0
        for table in ("events", "log_head", "claims"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"select * from policies.{table}")
        for statement in ("create table mine (x int)", "create schema other", "drop table claims"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_an_unknown_service_is_refused(postgres: Databases):
    with pytest.raises(ValueError, match="no service"):
        await migrate(await postgres.empty(), ["payroll; drop table x"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [([], "name services"), (["nobody"], "services are users"), (["users"], "give --admin-url")],
)
def test_the_command_line_says_what_is_missing(
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("QM_ADMIN_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert complaint in capsys.readouterr().err


async def _everything(url: str) -> list[tuple[str, str, str, str]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select table_schema, table_name, column_name, data_type"
            " from information_schema.columns where table_schema = any($1) order by 1, 2, 3",
            [*SERVICES],
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]
