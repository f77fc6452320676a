"""What a rebuild costs an event, beside a client that fetches the same events and does nothing."""

import asyncio
import json
import sys

import pytest

from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Write
from shared.eventlog.relay import Relay
from shared.kernel.cancelling import cancel
from shared.messaging import connection
from shared.testing.eventually import eventually
from tests.benchmarks.figures import beside

EVENTS = 20_000
PER_S = 20_000  # with a processor to itself
TIMES_PLAIN_MAX = 2.0
META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="bench")
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


async def filled(users_url, nats_url):
    """Write events to a log and wait until the stream holds them."""
    pool = await open_pool(users_url, name="bench")
    client = await connection.connect(nats_url, "bench")
    log = EventLog(pool, codec_for("users"))
    for first in range(0, EVENTS, 1000):
        names = [f"d{number}" for number in range(first, first + 1000)]
        writes = [
            Write(f"domain-{name}", 0, [DomainCreated(name=name, description="x" * 100)])
            for name in names
        ]
        await log.append(writes, META)
    relay = Relay(log, client)
    relaying = asyncio.create_task(relay.run())
    await eventually(lambda: relay.lag == 0, timeout_s=120)
    await cancel([relaying], 10)
    await connection.close(client)
    pool.terminate()


async def test_a_read_model_is_rebuilt_fast_enough(postgres, nats_server, show):
    urls = await postgres.shared_by("users", "gateway")
    await filled(urls["users"], nats_server.url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.rebuild",
        nats_server.url,
        urls["gateway"],
        str(EVENTS),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    figures = json.loads(output.splitlines()[-1])
    plain, projection = figures["plain"], figures["projection"]
    possible = 1e6 / projection["cpu_us"]
    show(
        f"{projection['cpu_us']:.0f} us of processor time an event, "
        + beside(possible, PER_S, "events/s on a processor of its own", at_least=True)
        + f", {projection['per_s']:.0f}/s here and now; a"
        f" client that only fetches: {plain['cpu_us']:.0f} us, {plain['per_s']:.0f}/s:"
        f" {projection['cpu_us'] / plain['cpu_us']:.1f} times as much (at most {TIMES_PLAIN_MAX:g})"
    )
    assert figures["counted"] == EVENTS
    assert projection["cpu_us"] <= TIMES_PLAIN_MAX * plain["cpu_us"]
