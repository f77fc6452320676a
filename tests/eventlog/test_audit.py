"""One look over the whole installation: every log, and every stream against its log."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest_asyncio

from shared.contracts.base import LOG_SERVICES
from shared.eventlog.audit import audit
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.messaging import connection
from shared.testing.servers import Databases, NatsServer
from tests.eventlog.conftest import append
from tests.eventlog.test_relay import reached, relaying


@pytest_asyncio.fixture(loop_scope="session")
async def admin_url(postgres: Databases, nats_server: NatsServer) -> AsyncIterator[str]:
    """Where all services' schemas are; the users service has written and published."""
    urls = await postgres.shared_by(*LOG_SERVICES)
    pool = await open_pool(urls["users"], name="tests")
    log = EventLog(pool, codec_for("users"))
    client = await connection.connect(nats_server.url, "tests")
    async with relaying(log, client):
        await append(log, "a", 10)
        await reached(client, 10)
    await append(log, "b", 2)  # not relayed any more
    await client.close()
    await pool.close()
    yield postgres.as_admin(urls["users"])


async def test_an_untouched_installation_is_intact(admin_url: str, nats_server: NatsServer):
    found = {one.service: one for one in await audit(admin_url, nats_server.url)}
    assert list(found) == list(LOG_SERVICES)
    assert all(one.is_intact for one in found.values())
    users = found["users"]
    assert users.stream is not None
    assert (users.log.events, users.stream.events, users.stream.behind) == (12, 10, 2)
    assert msgspec.json.decode(msgspec.json.encode(users))["log"]["head"] == 12


async def test_a_changed_event_is_found_in_log_and_stream(admin_url: str, nats_server: NatsServer):
    editor = await asyncpg.connect(admin_url)
    await editor.execute(
        """update users.events set data = '{"type":"DomainCreated","name":"z"}'
           where position = 4"""
    )
    await editor.close()
    (users,) = await audit(admin_url, nats_server.url, ["users"])
    assert users.stream is not None
    assert users.log.damage is not None
    assert users.stream.damage is not None
    assert (users.log.damage.position, users.stream.damage.position) == (4, 4)
    assert not users.is_intact


async def test_without_nats_the_logs_are_proved_and_the_streams_are_said_to_be_unknown(
    admin_url: str, nats_server: NatsServer
):
    await nats_server.stop()
    async with asyncio.timeout(30):
        (users,) = await audit(admin_url, nats_server.url, ["users"])
    assert users.log.is_intact
    assert users.stream is None
    assert not users.is_intact
