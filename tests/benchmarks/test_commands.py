"""What a command costs on its way, alone, among many, and when there are far too many."""

import asyncio
import statistics
import sys
import time
from contextlib import asynccontextmanager

import pytest

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted, Actor, Meta
from shared.messaging import connection
from shared.messaging.commands import CommandClient
from tests.benchmarks.command_server import CONCURRENCY, QUEUE_LIMIT, pause

COMMANDS = 2_000
CLIENTS = 32  # they all have their place in line
RATIO_MIN = 1.0  # throughput with many clients against one
FLOOD_CLIENTS = 400
IMPATIENCE_S = 0.02  # a hundredth and less of what they are asked to wait
FLOOD_RATIO_MIN = 0.5  # of what is done without a flood
META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="bench")
COMMAND = SetAgentSchedulable(agent_id="a", schedulable=True)
ACCEPTED = Accepted(service="agents", position=1)
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@asynccontextmanager
async def served(url, pause_ms):
    """Give a client of a server in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.command_server",
        url,
        str(pause_ms),
        stdout=asyncio.subprocess.PIPE,
    )
    client = await connection.connect(url, "client")
    try:
        while b"serving" not in await process.stdout.readline():
            pass  # log lines
        yield CommandClient(client, "bench")
    finally:
        process.kill()
        await process.wait()
        await connection.close(client)


async def accepted_per_s(client, clients, commands):
    """Send from `clients` at once until `commands` are accepted; returns how many a second."""
    accepted = 0

    async def send_all():
        nonlocal accepted
        while accepted < commands:
            reply = await client.send(COMMAND, meta=META)
            if reply == ACCEPTED:
                accepted += 1
            else:
                await pause(IMPATIENCE_S)

    began = time.perf_counter()
    await asyncio.gather(*(send_all() for _ in range(clients)))
    return accepted / (time.perf_counter() - began)


async def test_many_clients_get_at_least_what_one_gets(nats_server, show):
    async with served(nats_server.url, pause_ms=0) as client:
        times_ms = []
        for _ in range(COMMANDS // 4):
            began = time.perf_counter()
            assert await client.send(COMMAND, meta=META) == ACCEPTED
            times_ms.append((time.perf_counter() - began) * 1000)
        one = await accepted_per_s(client, 1, COMMANDS // 4)
        many = await accepted_per_s(client, CLIENTS, COMMANDS)
    show(
        f"command there and back: p50 {statistics.median(times_ms):.2f} ms; one client {one:.0f}/s,"
        f" {CLIENTS} clients {many:.0f}/s, ratio {many / one:.1f} (at least {RATIO_MIN})"
    )
    assert many >= RATIO_MIN * one


async def test_far_too_many_commands_do_not_slow_those_that_are_taken(nats_server, show):
    async with served(nats_server.url, pause_ms=5) as client:
        calm = await accepted_per_s(client, CONCURRENCY + QUEUE_LIMIT, COMMANDS)
        flooded = await accepted_per_s(client, FLOOD_CLIENTS, COMMANDS)
    show(
        f"commands accepted: {calm:.0f}/s with as many clients as fit, {flooded:.0f}/s with"
        f" {FLOOD_CLIENTS}, ratio {flooded / calm:.2f} (at least {FLOOD_RATIO_MIN})"
    )
    assert flooded >= FLOOD_RATIO_MIN * calm
