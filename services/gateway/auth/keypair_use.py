"""Everything about how much keypairs are used, put together: counted, told, kept and reported."""

import asyncio
from math import ceil
from typing import NamedTuple

from services.gateway.auth.rate_limit_reports import RateLimitReports
from services.gateway.auth.rate_limits import RateLimits
from services.gateway.auth.use_keeping import UseKeeping
from services.gateway.auth.use_sharing import Ledger, UseSharing
from services.gateway.auth.use_store import UseStore
from shared.kernel.ids import new_id
from shared.runtime.service import ServiceRuntime
from shared.security.nonces import NonceCache


class KeypairUse(NamedTuple):
    """The parts that requests need; the rest works in the background."""

    limits: RateLimits
    nonces: NonceCache
    ledger: Ledger
    store: UseStore


async def follow_keypair_use(runtime: ServiceRuntime) -> KeypairUse:
    """Start to count, tell, keep and report; ready for requests once the service has started."""
    gateway, ledger, clock = new_id(), Ledger(), runtime.clock
    reports = RateLimitReports(runtime.command_client)
    limits = RateLimits(on_accept=ledger.accepted, on_refuse=reports.note)
    nonces = NonceCache(on_use=ledger.nonce_used)
    sharing = UseSharing(gateway, ledger, limits, nonces, clock)
    await sharing.subscribe(runtime.nats)
    await runtime.nats.flush()
    # What was signed before this second may have been used with the process before this one, or
    # with another that we had not heard of yet. Signatures are made in whole seconds: so that none
    # of ours is refused, nothing is answered before the second is over.
    nonces.since = ceil(clock.now().timestamp())

    async def next_second() -> None:
        await asyncio.sleep(max(0.0, ceil(nonces.since or 0) - clock.now().timestamp()))

    runtime.on_start(next_second)
    store = UseStore(runtime.pool, gateway)
    keeping = UseKeeping(store, ledger, limits, clock)
    await keeping.load(nonces)
    runtime.background("keypair-use-told", sharing.run(runtime.nats))
    runtime.background("keypair-use-kept", keeping.run())
    runtime.background("keypair-use-missed", keeping.read_what_was_missed(sharing.missed))
    runtime.background("rate-limit-reports", reports.run())
    return KeypairUse(limits, nonces, ledger, store)
