"""From an event's commit to a browser that is told, beside a bare publish on the same server."""

import asyncio
import json
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime

import httpx
import nats
import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import Installation

EVENTS = 60
P50_LIMIT_MS = 15.0
P99_LIMIT_MS = 100.0
# A topic is told of at most four times a second: what comes sooner would wait for its turn.
QUIET_S = 0.3
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def bare_publish_ms(installation):
    """A JetStream publish until a subscriber has it: what the way can't be shorter than."""
    connections = json.loads((installation.data / "secrets" / "connections.json").read_text())
    client = await nats.connect(connections["nats_url"])
    stream = client.jetstream()
    await stream.add_stream(name="BENCH", subjects=["bench.>"])
    arrived = asyncio.Queue()
    await client.subscribe("bench.x", cb=arrived.put)
    taken = []
    for _ in range(EVENTS):
        begun = time.perf_counter()
        await asyncio.gather(stream.publish("bench.x", b"x" * 300), arrived.get())
        taken.append((time.perf_counter() - begun) * 1000)
    await stream.delete_stream("BENCH")
    await client.close()
    return taken


async def told(lines):
    """The ids of the next message of the event stream, and when it came."""
    async for line in lines:
        if line.startswith("data:"):
            return json.loads(line.removeprefix("data:"))["ids"], datetime.now(tz=UTC)
    raise AssertionError("the event stream ended")


async def event_to_browser_ms(installation):
    with closing(installation.client()) as logged_in:
        headers = dict(logged_in.headers)
    body = {
        "type": "batch",
        "image": "local/host:latest",
        "resources": {"cpu": "0.1", "mem": "32m"},
        "command": ["true"],
    }
    taken = []
    async with (
        httpx.AsyncClient(base_url=installation.endpoint, headers=headers, timeout=30) as client,
        client.stream("GET", "/live?topics=sessions") as live,
    ):
        lines = live.aiter_lines()
        for number in range(EVENTS):
            creating = asyncio.create_task(
                client.post("/v1/sessions", json={**body, "name": f"bench-{number}"})
            )
            ids, at = await told(lines)
            created = (await creating).json()
            while created["id"] not in ids:
                ids, at = await told(lines)
            recorded = datetime.fromisoformat(created["created_at"])
            taken.append((at - recorded).total_seconds() * 1000)
            while True:
                document = (await client.get(f"/v1/sessions/{created['id']}")).json()
                if document["status"] in {"TERMINATED", "ERROR", "CANCELLED"}:
                    break
                await told(lines)
            await asyncio.sleep(QUIET_S)
    return taken


async def test_an_event_reaches_the_browser(installation, show):
    bare = await bare_publish_ms(installation)
    live = await event_to_browser_ms(installation)
    p50, p99 = statistics.median(live), percentile(live, 0.99)
    bare_p50 = statistics.median(bare)
    show(
        f"event committed -> browser told: p50 {p50:.1f} ms (limit {P50_LIMIT_MS:g}:"
        f" {p50 / P50_LIMIT_MS:.0%}), p99 {p99:.1f} ms (limit {P99_LIMIT_MS:g}:"
        f" {p99 / P99_LIMIT_MS:.0%}); bare publish p50 {bare_p50:.2f} ms ({p50 / bare_p50:.1f} x)"
    )
