"""Real servers for tests: each run has its own Postgres, each test its own databases and NATS."""

import asyncio
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

import asyncpg

from deploy.embedded.nats import EmbeddedNats
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.nats.configuration import NatsUser
from shared.eventlog.migrate import migrate, role_of

# A test kills processes, never the machine: the page cache outlives them, so nothing is lost.
_FAST: Final = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


def scratch_directory(purpose: str) -> Path:
    """Return a new directory that other accounts may pass through; the caller removes it."""
    path = Path(tempfile.mkdtemp(prefix=f"qm-{purpose}-"))
    path.chmod(0o711)
    return path


class PostgresServer:
    """A Postgres for a whole test run, and the templates that its databases are copied from."""

    def __init__(self) -> None:
        self._directory = scratch_directory("postgres")
        self._server = EmbeddedPostgres(
            self._directory / "postgres", password=secrets.token_hex(16), settings=_FAST
        )
        self._admin: asyncpg.Connection | None = None
        self._templates: dict[str, str] = {}
        self._migrating = asyncio.Lock()
        self._password = secrets.token_hex(16)

    async def start(self) -> None:
        """Make the cluster and start it."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop and remove everything."""
        if self._admin is not None:
            self._admin.terminate()
        await self._server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def embedded(self) -> EmbeddedPostgres:
        """The server itself, for tests that kill it."""
        return self._server

    def admin_url(self, database: str = "postgres") -> str:
        """Return where the superuser connects to `database`."""
        return self._server.admin_url.rpartition("/")[0] + f"/{database}"

    async def execute(self, sql: str) -> None:
        """Run a statement as the superuser, outside any transaction."""
        if self._admin is None or self._admin.is_closed():
            self._admin = await asyncpg.connect(self._server.admin_url)
        await self._admin.execute(sql)

    async def create(self, template: str = "template0") -> str:
        """Create a database as a copy of `template` and return its name."""
        name = f"t_{secrets.token_hex(8)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
        return name

    async def template_of(self, *services: str) -> str:
        """Return a database with these services' newest schemas; migrated once a run."""
        key = "_".join(services)
        async with self._migrating:
            if key not in self._templates:
                name = await self.create()
                await migrate(
                    self.admin_url(name), services, dict.fromkeys(services, self._password)
                )
                self._templates[key] = name
        return self._templates[key]

    def service_url(self, service: str, database: str) -> str:
        """Return where the role of a service connects to `database`."""
        return self._server.url(role_of(service), self._password, database)

    async def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        await self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Databases:
    """The databases of one test; they are dropped when it ends."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._made: list[str] = []

    async def empty(self) -> str:
        """Return the superuser's address of a new, empty database."""
        name = await self.server.create()
        self._made.append(name)
        return self.server.admin_url(name)

    async def database(self, service: str) -> str:
        """Return the service's own address of a new database with its newest schema."""
        return (await self.shared_by(service))[service]

    async def shared_by(self, *services: str) -> dict[str, str]:
        """Return each service's own address of one new database with all of their schemas."""
        name = await self.server.create(await self.server.template_of(*services))
        self._made.append(name)
        return {service: self.server.service_url(service, name) for service in services}

    def as_admin(self, url: str) -> str:
        """Return the superuser's address of the database that `url` leads to."""
        return self.server.admin_url(url.rpartition("/")[2])

    async def drop_all(self) -> None:
        """Drop what this test has made."""
        while self._made:
            await self.server.drop(self._made.pop())


class NatsServer:
    """A NATS server with JetStream of its own; stop, start and `wipe` as a test likes."""

    def __init__(self) -> None:
        self._directory = scratch_directory("nats")
        user = NatsUser("test", secrets.token_hex(16))
        self._server = EmbeddedNats(self._directory / "nats", users=[user])

    @property
    def embedded(self) -> EmbeddedNats:
        """The server itself, for tests that kill it."""
        return self._server

    @property
    def url(self) -> str:
        """Where a user without restrictions connects; the port stays over restarts."""
        return self._server.url("test")

    async def start(self) -> None:
        """Start, on the same port and with the same streams as before."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop cleanly; streams stay."""
        await self._server.stop()

    async def kill(self) -> None:
        """Kill -9 and wait until it is gone."""
        child = self._server.child
        if child is not None:
            child.kill()
            await child.wait()

    def wipe(self) -> None:
        """Remove every stream and bucket; only while it is stopped."""
        shutil.rmtree(self._directory / "nats" / "jetstream", ignore_errors=True)

    async def remove(self) -> None:
        """Stop and remove everything."""
        await self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
