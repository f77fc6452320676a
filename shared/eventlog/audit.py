"""Verify every log of an installation and every stream against its log, as an administrator."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from shared.contracts.base import LOG_SERVICES, ServiceName
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.verify import ChainReport, StreamReport, verify_chain, verify_stream

CONNECT_TIMEOUT_S: Final = 10
_AWAY: Final = (NatsError, OSError, TimeoutError)


class ServiceAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one service; `stream` is None when JetStream could not be asked."""

    service: ServiceName
    log: ChainReport
    stream: StreamReport | None

    @property
    def is_intact(self) -> bool:
        """Tell whether log and stream were both read to the end and nothing was found."""
        return self.log.is_intact and self.stream is not None and self.stream.is_intact


async def audit(
    database_url: str, nats_url: str, services: Sequence[ServiceName] = LOG_SERVICES
) -> list[ServiceAudit]:
    """Audit services one after the other, with addresses that may read every schema and stream.

    Raises LogUnavailable when Postgres goes away while a log is read, and asyncpg's or OSError
    when it cannot be reached at all.
    """
    client = None
    with suppress(*_AWAY):  # told by `stream` being None: the logs can be proved without it
        client = await asyncio.wait_for(
            nats.connect(
                nats_url, allow_reconnect=False, max_reconnect_attempts=1, error_cb=_quiet
            ),
            CONNECT_TIMEOUT_S,
        )
    try:
        js = None if client is None else client.jetstream(timeout=CONNECT_TIMEOUT_S)
        return [await _audit_one(database_url, js, service) for service in services]
    finally:
        if client is not None:
            await client.close()


async def _audit_one(
    database_url: str, js: JetStreamContext | None, service: ServiceName
) -> ServiceAudit:
    pool = await open_pool(database_url, name="audit", schema=service, max_size=2)
    try:
        log = EventLog(pool, codec_for(service))
        chain = await verify_chain(log)
        return ServiceAudit(service=service, log=chain, stream=await _stream(log, js))
    finally:
        await pool.close()


async def _stream(log: EventLog, js: JetStreamContext | None) -> StreamReport | None:
    if js is None:
        return None
    try:
        return await verify_stream(log, js)
    except _AWAY:
        return None


async def _quiet(_problem: Exception) -> None:
    """Say nothing: what goes wrong is in the report."""
