"""The use of keypairs in the database, and a process that begins after another was killed."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest_asyncio

from services.gateway.auth.rate_limits import RateLimits
from services.gateway.auth.use_keeping import UseKeeping
from services.gateway.auth.use_sharing import Ledger
from services.gateway.auth.use_store import UseStore
from shared.eventlog.pool import open_pool
from shared.kernel.cancelling import cancel
from shared.kernel.clock import SystemClock
from shared.security.nonces import NonceCache
from tests.gateway.integration.harness import eventually

CLOCK = SystemClock()
OLDER = "update keypair_requests set counted_at = counted_at - make_interval(secs => $1)"


class Process:
    """A gateway as far as it counts, with its part of the database."""

    def __init__(self, pool, name, store=UseStore):
        self.pool = pool
        self.ledger = Ledger()
        self.limits = RateLimits(on_accept=self.ledger.accepted)
        self.nonces = NonceCache(on_use=self.ledger.nonce_used)
        self.store = store(pool, name)
        self.keeping = UseKeeping(self.store, self.ledger, self.limits, CLOCK)

    def take(self, access_key="AK", limit=10):
        taken = self.limits.take(access_key, limit, CLOCK.monotonic())
        if taken.rejection is None:
            self.limits.touch(access_key, CLOCK.now())
        return taken

    def used(self, access_key="AK"):
        return self.limits.used(access_key, CLOCK.monotonic())

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.keeping.run())
        try:
            yield
        finally:
            await cancel((task,), 10)

    async def stored(self):
        """Wait until everything accepted so far is in the database."""
        await eventually(
            lambda: self.pool.fetchval("select coalesce(sum(accepted), 0) from keypair_requests"),
            lambda total: total == sum(self.used(key) for key in ("AK", "OTHER")),
        )


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres):
    return await postgres.database("gateway")


@pytest_asyncio.fixture(loop_scope="session")
async def pool(url):
    made = await open_pool(url, name="gateway")
    yield made
    await made.close()


async def test_a_process_that_begins_counts_what_was_accepted_before(pool):
    first, second = Process(pool, "first"), Process(pool, "second")
    async with first.running():
        for _ in range(4):
            first.take()
        first.take("OTHER", None)
        await first.stored()
        await second.keeping.load(second.nonces)  # the first one is still there: kill -9 or not
        assert (second.used(), second.used("OTHER")) == (4, 1)
        assert [second.take(limit=5).rejection is None for _ in range(2)] == [True, False]
    again = Process(pool, "first")
    await again.keeping.load(again.nonces)
    assert again.used() == 0  # what it has stored itself it knows


async def test_what_was_accepted_ages_out_by_the_clock_of_the_database(pool):
    first, second = Process(pool, "first"), Process(pool, "second")
    async with first.running():
        first.take()
        await first.stored()
    await pool.execute(OLDER, 890.0)
    await second.keeping.load(second.nonces)
    refused = second.take(limit=1).rejection
    assert refused is not None
    assert refused.retry_after_s <= 10
    await pool.execute(OLDER, 10.0)
    third = Process(pool, "third")
    await third.keeping.load(third.nonces)
    assert third.used() == 0
    await third.store.forget_old()
    assert await pool.fetchval("select count(*) from keypair_requests") == 0


async def test_the_last_second_is_stored_when_a_process_stops(pool):
    first, second = Process(pool, "first"), Process(pool, "second")
    async with first.running():
        first.take()
        await first.stored()
        first.take()
        first.take()
    await second.keeping.load(second.nonces)
    assert second.used() == 3


class Hesitant(UseStore):
    """Says only when it is let that something was stored."""

    def __init__(self, pool, name) -> None:
        super().__init__(pool, name)
        self.has_stored = asyncio.Event()
        self.may_say_so = asyncio.Event()

    async def save(self, unsaved, used_at):
        await super().save(unsaved, used_at)
        self.has_stored.set()
        await self.may_say_so.wait()


async def test_what_is_being_stored_while_a_process_stops_is_stored_once(pool):
    first, second = Process(pool, "first", Hesitant), Process(pool, "second")
    first.take()
    keeping = asyncio.create_task(first.keeping.run())
    await first.store.has_stored.wait()
    keeping.cancel()
    asyncio.get_running_loop().call_soon(first.store.may_say_so.set)
    await asyncio.gather(keeping, return_exceptions=True)
    await second.keeping.load(second.nonces)
    assert second.used() == 1


async def test_when_a_keypair_was_used_last_outlives_the_process_and_not_the_keypair(pool):
    first, second = Process(pool, "first"), Process(pool, "second")
    async with first.running():
        first.take()
        first.take("OTHER")
        await first.stored()
    found = await second.store.last_used_at(["AK", "OTHER", "NEVER"])
    assert found == {key: first.limits.last_used_at(key) for key in ("AK", "OTHER")}
    second.ledger.deleted("AK")
    async with second.running():
        await eventually(
            lambda: second.store.last_used_at(["AK", "OTHER"]), lambda left: set(left) == {"OTHER"}
        )


async def test_a_nonce_that_was_signed_ahead_of_time_is_used_after_a_restart_too(pool):
    first, second = Process(pool, "first"), Process(pool, "second")
    now = CLOCK.now().timestamp()
    async with first.running():
        assert first.nonces.use("AK", "nonce-1", expires=now + 500, now=now) == "fresh"
        await eventually(lambda: pool.fetchval("select count(*) from keypair_nonces"), bool)
    await second.keeping.load(second.nonces)
    assert second.nonces.use("AK", "nonce-1", expires=now + 500, now=now) == "used"


async def test_nothing_is_lost_while_the_database_refuses(pool, url):
    first, second = Process(pool, "first"), Process(pool, "second")
    admin = await asyncpg.connect(url)
    try:
        async with first.running():
            async with admin.transaction():
                await admin.execute("lock table keypair_requests in access exclusive mode")
                for _ in range(3):
                    first.take()
                pids = "select pid from pg_stat_activity where wait_event_type = 'Lock'"
                await eventually(lambda: admin.fetch(pids), bool)
                for row in await admin.fetch(pids):
                    await admin.execute("select pg_cancel_backend($1)", row["pid"])
                first.take()
            await first.stored()
        await second.keeping.load(second.nonces)
        assert second.used() == 4
    finally:
        await admin.close()
