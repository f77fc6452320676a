"""The policies service as a process, and a peer that asks it as the gateway would."""

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg
from nats.aio.client import Client

from shared.contracts.base import Accepted, Actor, Command, Meta, Rejected, Reply
from shared.eventlog.codecs import codec_for
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandClient
from shared.testing.services import ServiceProcess

CODEC = codec_for("policies")


@dataclass
class Policies:
    """The service, its database, and somebody who sends commands."""

    service: ServiceProcess
    database: asyncpg.Connection
    admin_url: str
    nats: Client
    commands: CommandClient

    async def send(
        self, command: Command, key: CommandKey | None = None, *, timeout_s: float = 20
    ) -> Reply:
        meta = Meta(actor=Actor(kind="user", id="tester"), correlation_id=new_id())
        return await self.commands.send(command, meta=meta, idempotency=key, timeout_s=timeout_s)

    async def accepted(self, command: Command, key: CommandKey | None = None) -> Accepted:
        reply = await self.send(command, key)
        assert isinstance(reply, Accepted), reply
        return reply

    async def rejected(self, command: Command, key: CommandKey | None = None) -> Rejection:
        reply = await self.send(command, key)
        assert isinstance(reply, Rejected), reply
        return reply.rejection

    async def together(self, *commands: Command) -> list[Reply]:
        return await asyncio.gather(*(self.send(command) for command in commands))

    async def events(self, after: int = 0) -> list[Any]:
        rows = await self.database.fetch(
            "select type, schema_version, data::text from events where position > $1"
            " order by position",
            after,
        )
        return [CODEC.decode(*row) for row in rows]

    async def head(self) -> int:
        return int(await self.database.fetchval("select position from log_head"))

    async def waiting(self) -> int:
        """Wait until a transaction of the service waits for a lock of the test; its process."""
        async with asyncio.timeout(20):
            found = None
            while found is None:
                found = await self.database.fetchval(
                    "select pid from pg_stat_activity where wait_event_type = 'Lock'"
                    " and usename = 'qm_policies' and datname = current_database()"
                )
        return int(found)

    async def ended(self, backend: int) -> None:
        """Wait until a database process has done what it was at and has noticed that it may go."""
        async with asyncio.timeout(20):
            while await self.database.fetchval(
                "select count(*) from pg_stat_activity where pid = $1", backend
            ):
                pass
