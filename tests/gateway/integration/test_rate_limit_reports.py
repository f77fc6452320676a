"""That a keypair is being refused is told to the users service, also when it was away at first."""

import asyncio

import msgspec
import pytest_asyncio

from services.gateway.auth.rate_limit_reports import RateLimitReports
from shared.contracts.base import Accepted, Actor, Meta, Rejected
from shared.contracts.subjects import command_subject
from shared.contracts.users import ReportRateLimited
from shared.kernel.cancelling import cancel
from shared.messaging.command_client import CommandClient
from shared.messaging.connection import close, connect

REPORT = ReportRateLimited(access_key="AK0", limit=1)
META = Meta(actor=Actor("service", "tester"), correlation_id="c")
SUBJECT = command_subject("users", "ReportRateLimited")


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server):
    client = await connect(nats_server.url, "tester")
    yield client
    await close(client)


async def test_a_report_waits_for_the_users_service(nats):
    told: asyncio.Queue[ReportRateLimited] = asyncio.Queue()
    reports = RateLimitReports(CommandClient(nats, "gateway"))
    running = asyncio.create_task(reports.run())
    try:
        reports.note("AK1", 5)
        reports.note("AK1", 5)
        # nobody answers commands yet: one of our own, sent after it, is refused, so it was too
        refused = await CommandClient(nats, "gateway").send(REPORT, meta=META)
        assert isinstance(refused, Rejected)

        async def answer(message):
            await told.put(msgspec.json.decode(message.data, type=ReportRateLimited))
            await message.respond(msgspec.json.encode(Accepted(service="users", position=1)))

        await nats.subscribe(SUBJECT, cb=answer)
        async with asyncio.timeout(20):
            assert await told.get() == ReportRateLimited(access_key="AK1", limit=5)
            reports.note("AK2", 0)
            assert await told.get() == ReportRateLimited(access_key="AK2", limit=0)
        assert told.empty()
    finally:
        await cancel((running,), 10)
