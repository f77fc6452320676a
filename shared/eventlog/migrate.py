"""Create a service's schema and role, and bring the schema up to its newest revision.

    python -m shared.eventlog.migrate users --admin-url postgresql://postgres:…@host/qm
    python -m shared.eventlog.migrate --all --passwords-file roles.json

The schema belongs to the administrator; the role `qm_<service>` may use it, but not alter it.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from shared.contracts.base import ServiceName

SERVICES: Final[tuple[ServiceName, ...]] = get_args(ServiceName)
REPOSITORY: Final = Path(__file__).resolve().parents[2]
VERSION_TABLE: Final = "alembic_version"
# Builds tables for the next generation of a read model while it runs.
MAKES_TABLES: Final = frozenset({"gateway"})
_ROLE_LOCK: Final = 0x716D_0001
_CONNECT_TIMEOUT_S: Final = 30


def role_of(service: str) -> str:
    """Return the database role of a service."""
    return f"qm_{service}"


async def migrate(
    admin_url: str,
    services: Sequence[str] = SERVICES,
    passwords: Mapping[str, str] | None = None,
) -> None:
    """Create role and schema of each service where missing, and upgrade it to its head.

    `passwords` sets the role's password for the services it names; a role that is made without
    one cannot log in by password. Safe to repeat and to run twice at once.
    """
    url = make_url(admin_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(
        url, connect_args={"timeout": _CONNECT_TIMEOUT_S, "statement_cache_size": 0}
    )
    try:
        for service in services:
            async with engine.begin() as connection:
                await connection.run_sync(_migrate_one, service, (passwords or {}).get(service))
    finally:
        await engine.dispose()


def _migrate_one(connection: Connection, service: str, password: str | None) -> None:
    """Do all of one service in one transaction; a lock keeps a second run waiting."""
    if service not in SERVICES:
        raise ValueError(f"there is no service {service}")
    connection.exec_driver_sql(f"select pg_advisory_xact_lock({_ROLE_LOCK})")
    for statement in _access(connection, service, password):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"set local search_path = {service}")
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "services" / service / "schema"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)

    def upgrade(revision: object, _context: object) -> list[object]:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type,return-value]  # noqa: SLF001  # what alembic's own `upgrade` command calls

    with EnvironmentContext(config, scripts, fn=upgrade) as environment:
        environment.configure(
            connection=connection,
            version_table=VERSION_TABLE,
            version_table_schema=service,
            transaction_per_migration=False,
        )
        environment.run_migrations()


def _access(connection: Connection, service: str, password: str | None) -> list[str]:
    """Return what is missing of the role, the schema and the rights of the one on the other.

    A role belongs to the whole server, so what is right already is left alone: two databases of
    one server may be migrated at once.
    """
    role = role_of(service)
    search_path = f"search_path={service}"
    found = connection.exec_driver_sql(
        f"select coalesce(rolconfig, '{{}}') from pg_roles where rolname = '{role}'"  # noqa: S608  # a known name
    ).scalar()
    statements = [] if found is not None else [f"create role {role} login"]
    if search_path not in (found or ()):
        statements.append(f"alter role {role} set {search_path}")
    if password is not None:
        quoted = password.replace("'", "''")
        statements.append(f"alter role {role} password '{quoted}'")
    tables = "select, insert, update, delete"
    statements += [
        f"create schema if not exists {service}",
        f"grant usage on schema {service} to {role}",
        f"alter default privileges in schema {service} grant {tables} on tables to {role}",
        f"alter default privileges in schema {service} grant usage on sequences to {role}",
    ]
    if service in MAKES_TABLES:
        statements.append(f"grant create on schema {service} to {role}")
    return statements


def main(arguments: Sequence[str] | None = None) -> None:
    """Migrate the services named on the command line."""
    parser = argparse.ArgumentParser(prog="migrate", description="Migrate services' schemas.")
    parser.add_argument("services", nargs="*", metavar="service", help=", ".join(SERVICES))
    parser.add_argument("--all", action="store_true", help="every service")
    parser.add_argument("--admin-url", default=os.environ.get("QM_ADMIN_DATABASE_URL"))
    parser.add_argument("--passwords-file", type=Path, help='JSON: {"users": "…", …}')
    options = parser.parse_args(arguments)
    services = SERVICES if options.all else options.services
    unknown = set(services) - set(SERVICES)
    if unknown or not services:
        parser.error(f"name services, or --all; services are {', '.join(SERVICES)}")
    if not options.admin_url:
        parser.error("give --admin-url or set QM_ADMIN_DATABASE_URL")
    passwords = json.loads(options.passwords_file.read_text()) if options.passwords_file else {}
    asyncio.run(migrate(options.admin_url, services, passwords))


if __name__ == "__main__":
    main()
