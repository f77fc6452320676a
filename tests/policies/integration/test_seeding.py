"""The first start makes the defaults exactly once, whatever happens meanwhile."""

import asyncio

import asyncpg
import httpx
import nats

from services.policies.seed import sow
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.testing.servers import Databases, NatsServer
from shared.testing.services import ServiceProcess

EXPECTED = [
    "keypair-policy-default",
    "user-policy-default",
    "project-policy-default",
    "preset-small",
    "preset-medium",
    "preset-large",
]


async def names(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select type, data->>'name' as name, stream from events order by position"
        )
    finally:
        await connection.close()
    return [f"preset-{row['name']}" if "preset" in row["stream"] else row["stream"] for row in rows]


async def test_a_started_service_is_ready_and_has_made_the_defaults_once(
    policies: ServiceProcess, nats_server: NatsServer
) -> None:
    for _ in range(2):
        await policies.start()
        async with httpx.AsyncClient() as client:
            ready = await client.get(f"http://127.0.0.1:{policies.http_port}/readyz")
        assert ready.status_code == 200, policies.output
        assert await policies.stop() == 0
    assert await names(policies.environ["QM_DATABASE_URL"]) == EXPECTED
    client = await nats.connect(nats_server.url)
    stream = await client.jetstream().stream_info("EVENTS_policies")
    assert stream.state.last_seq == len(EXPECTED)
    await client.close()


async def test_a_service_killed_while_it_makes_the_defaults_finishes_them_next_time(
    policies: ServiceProcess, postgres: Databases
) -> None:
    url = policies.environ["QM_DATABASE_URL"]
    admin = await asyncpg.connect(postgres.as_admin(url))
    await admin.execute("alter table policies.events add constraint stop check (position <= 2)")
    await policies.spawn()
    await policies.wait_for("start_failed")
    await policies.kill()
    assert await names(url) == EXPECTED[:2]
    await admin.execute("alter table policies.events drop constraint stop")
    await admin.close()
    await policies.start()
    assert await names(url) == EXPECTED


async def test_two_processes_at_once_make_each_default_once(postgres: Databases) -> None:
    url = await postgres.database("policies")
    pools = [await open_pool(url, name=f"policies-{number}") for number in range(3)]
    logs = [EventLog(pool, codec_for("policies")) for pool in pools]
    made = await asyncio.gather(*(sow(log) for log in logs))
    assert sum(made) == len(EXPECTED)
    assert sorted(await names(url)) == sorted(EXPECTED)
    for pool in pools:
        await pool.close()
