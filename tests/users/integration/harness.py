"""The users service as a process, and a peer that asks it as the gateway would."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from nats.aio.client import Client

from shared.contracts.base import Accepted, Actor, Command, Meta, Rejected, Reply
from shared.contracts.users import CreateUser, GetKeypairSecrets, GetPersonKeys, LogIn
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandClient
from shared.messaging.queries import QueryClient
from shared.security.sealing import Keyring
from shared.security.transport import open_secret_key, open_token, seal_password
from shared.testing.services import ServiceProcess

ADMIN = {
    "endpoint": "http://127.0.0.1:1",
    "email": "Root@Example.org",
    "password": "generated-Passw0rd",
    "access_key": "AKIAROOTROOTROOTROOT",
    "secret_key": "r" * 40,
}


@dataclass
class Users:
    """The service, its database, and what the gateway would hold."""

    service: ServiceProcess
    keyring: Keyring
    database: asyncpg.Connection
    commands: CommandClient
    queries: QueryClient

    async def send(
        self,
        command: Command,
        key: CommandKey | None = None,
        *,
        timeout_s: float = 20,
        by: str = "tester",
        seen: Mapping[str, int] | None = None,
    ) -> Reply:
        meta = Meta(actor=Actor(kind="user", id=by), correlation_id=new_id())
        return await self.commands.send(
            command, meta=meta, idempotency=key, timeout_s=timeout_s, seen=seen
        )

    async def together(self, *commands: Command) -> list[Reply]:
        return await asyncio.gather(*(self.send(command) for command in commands))

    def creation(self, name: str, password: str = "abcd123!", **more: Any) -> CreateUser:
        texts = {"email": f"{name}@example.org", "username": name, **more}
        return CreateUser(sealed_password=seal_password(self.keyring, password), **texts)

    async def create(self, name: str, **more: Any) -> Reply:
        return await self.send(self.creation(name, **more))

    async def created(self, name: str, **more: Any) -> dict[str, Any]:
        reply = await self.create(name, **more)
        assert isinstance(reply, Accepted), reply
        return dict(reply.result)

    async def log_in(
        self, email: str, password: str = "abcd123!", *, timeout_s: float = 20
    ) -> Reply:
        sealed = seal_password(self.keyring, password)
        return await self.send(LogIn(email=email, sealed_password=sealed), timeout_s=timeout_s)

    async def keys(self, *user_ids: str) -> dict[str, str | None]:
        answer = await self.queries.ask(GetPersonKeys(user_ids=user_ids), dict[str, Any])
        assert not isinstance(answer, Rejection), answer
        return dict(answer["keys"])

    async def secrets(self, *access_keys: str) -> dict[str, str | None]:
        answer = await self.queries.ask(GetKeypairSecrets(access_keys=access_keys), dict[str, Any])
        assert not isinstance(answer, Rejection), answer
        return dict(answer["secrets"])

    def open_secret(self, access_key: str, sealed: str) -> str:
        return open_secret_key(self.keyring, access_key, sealed)

    def open_token(self, result: dict[str, Any]) -> str:
        return open_token(self.keyring, result["login_id"], result["sealed_token"])

    async def events(self, *types: str) -> list[dict[str, Any]]:
        rows = await self.database.fetch(
            "select stream, version, type, data::text, meta::text from events"
            " where $1::text[] = '{}' or type = any($1) order by position",
            list(types),
        )
        return [
            {**dict(row), "data": json.loads(row["data"]), "meta": json.loads(row["meta"])}
            for row in rows
        ]


async def blocked(connection: asyncpg.Connection, role: str = "qm_users") -> None:
    """Wait until the service's transaction waits for the lock that the test holds."""
    async with asyncio.timeout(20):
        waiting = 0
        while not waiting:
            waiting = await connection.fetchval(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                " and usename = $1",
                role,
            )


def rejected(reply: Reply) -> Rejection:
    assert isinstance(reply, Rejected), reply
    return reply.rejection


@dataclass
class Ground:
    """Where users runs: servers, policies, keys, the credentials file, and a peer's connection."""

    policies: ServiceProcess
    environ: dict[str, str]
    keyring: Keyring
    admin_url: str
    nats: Client


@asynccontextmanager
async def held(ground: Ground, table: str, key: str, value: str) -> AsyncIterator[None]:
    """Keep whoever wants to change (or to rest on) a row waiting."""
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    try:
        async with blocker.transaction():
            await blocker.execute(f"select from {table} where {key} = $1 for update", value)
            yield
    finally:
        await blocker.close()
