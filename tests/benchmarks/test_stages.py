"""What each stage of a session's way costs, from the request until all see that it runs."""

import asyncio
import json
import statistics
import time
from collections import defaultdict
from datetime import datetime

import httpx
import nats
import psutil
import pytest

from deploy.embedded.ports import free_port
from shared.messaging import cloudevents
from shared.testing.installation import Installation
from tests.benchmarks.figures import table
from tests.benchmarks.stages import costs_us

SESSIONS = 40
WARM_UP = 5
WAIT_S = 30.0
BODY = {
    "type": "batch",
    "image": "local/host:latest",
    "resources": {"cpu": "0.1", "mem": "32m"},
    "command": ["true"],
}
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


class Ear:
    """Hears what the scheduler publishes; times are those of the wall clock, in seconds."""

    def __init__(self) -> None:
        self.written = defaultdict(dict)  # by session: when an event of a type was recorded
        self.heard = defaultdict(dict)
        self.wished = {}  # by kernel: when its desired state was first heard of
        self.news = asyncio.Condition()

    async def event(self, message):
        found = json.loads(message.data)
        kind = message.headers[cloudevents.TYPE].rpartition(".")[2]
        written = datetime.fromisoformat(message.headers["ce-time"]).timestamp()
        async with self.news:
            session_id = found.get("session_id", "")
            self.written[session_id].setdefault(kind, written)
            self.heard[session_id].setdefault(kind, time.time())
            self.news.notify_all()

    async def wish(self, message):
        self.wished.setdefault(message.subject.rpartition(".")[2], time.time())

    async def until(self, session_id, kind):
        async with asyncio.timeout(WAIT_S), self.news:
            await self.news.wait_for(lambda: kind in self.written[session_id])


async def listening(installation):
    connections = json.loads((installation.data / "secrets" / "connections.json").read_text())
    client = await nats.connect(connections["nats_url"])
    ear = Ear()
    await client.subscribe("evt.scheduler.>", cb=ear.event)
    await client.subscribe("$KV.desired.>", cb=ear.wish)
    await client.flush()
    return client, ear


async def refused_ms(client, body):
    """Return the median time of a request that is refused."""
    taken = []
    for number in range(SESSIONS):
        began = time.perf_counter()
        answer = await client.post("/v1/sessions", json={**body, "name": f"refused-{number}"})
        taken.append((time.perf_counter() - began) * 1000)
        assert 400 <= answer.status_code < 500, answer.text
    return statistics.median(taken)


async def followed(client, ear, name):
    """Submit a session; return how long each stage took, in ms, in the order of its way."""
    sent = time.time()
    answer = await client.post("/v1/sessions", json={**BODY, "name": name})
    answered = time.time()
    assert answer.status_code == 201, answer.text
    session_id = answer.json()["id"]
    await ear.until(session_id, "SessionStarted")
    while True:
        document = (await client.get(f"/v1/sessions/{session_id}")).json()
        if document["status"] not in {"PENDING", "SCHEDULED", "PREPARING"}:
            break
    seen = time.time()
    await ear.until(session_id, "SessionTerminated")
    written, heard = ear.written[session_id], ear.heard[session_id]
    wished = ear.wished[document["kernels"][0]["id"]]
    enqueued, scheduled = written["SessionEnqueued"], written["SessionScheduled"]
    started = written["SessionStarted"]
    ways = {
        "sent until decided and written": (sent, enqueued),
        "written until its place is written": (enqueued, scheduled),
        "written until published": (enqueued, heard["SessionEnqueued"]),
        "published until visible and answered": (heard["SessionEnqueued"], answered),
        "place written until told to the node": (scheduled, wished),
        "told to the node until it prepares": (wished, written["SessionPreparing"]),
        "prepares until it runs, written": (written["SessionPreparing"], started),
        "runs until visible": (started, seen),
        "in all: sent until answered": (sent, answered),
        "in all: sent until it runs": (sent, started),
    }
    return {name: (end - begin) * 1000 for name, (begin, end) in ways.items()}


def spent_s(installation):
    """Return the processor time that each part has used so far, in seconds."""
    supervisor = psutil.Process(installation.process.pid)
    named = {entry["pid"]: name for name, entry in installation.state()["processes"].items()}
    spent = defaultdict(float)
    for process in [supervisor, *supervisor.children(recursive=True)]:
        try:
            lineage = [process, *process.parents()]
            name = next((named[one.pid] for one in lineage if one.pid in named), "supervisor")
            spent[name] += sum(process.cpu_times()[:4])  # of its ended children, too
        except psutil.NoSuchProcess:
            continue
    return spent


async def test_what_each_stage_of_a_sessions_way_costs(installation, show):
    with installation.client() as logged_in:
        headers = dict(logged_in.headers)
    listener, ear = await listening(installation)
    async with httpx.AsyncClient(
        base_url=installation.endpoint, headers=headers, timeout=30
    ) as client:
        for number in range(WARM_UP):
            await followed(client, ear, f"warm-{number}")
        at_gateway = await refused_ms(client, {})
        at_scheduler = await refused_ms(client, {**BODY, "resource_group": "nowhere"})
        before = spent_s(installation)
        ways = [await followed(client, ear, f"one-{number}") for number in range(SESSIONS)]
        spent = spent_s(installation)
    await listener.close()
    rows = [
        ("one by one", "p50 ms", "p95 ms"),
        ("HTTP, log-in, body: refused by the gateway", f"{at_gateway:.1f}", ""),
        ("command and back: refused by the scheduler", f"{at_scheduler - at_gateway:.1f}", ""),
    ]
    for name in ways[0]:
        times = sorted(way[name] for way in ways)
        rows.append((name, f"{statistics.median(times):.1f}", f"{times[-SESSIONS // 20]:.1f}"))
    parts = sorted(spent, key=lambda name: before[name] - spent[name])
    cost = {name: (spent[name] - before[name]) / SESSIONS * 1000 for name in parts}
    used = [("a session from its request to its end", "processor ms")]
    used.extend((name, f"{ms:.1f}") for name, ms in cost.items() if ms >= 0.1)
    used.append(("in all", f"{sum(cost.values()):.1f}"))
    show(f"\n{table(rows)}\n\n{table(used)}")
    assert all(len(ear.written[one]) for one in ear.heard)


def test_what_each_stage_costs_within_the_scheduler(show):
    cost = costs_us()
    rows = [("a session in the scheduler's own process", "processor us")]
    rows.extend((name, f"{us:.1f}") for name, us in cost.items())
    total = sum(cost.values())
    rows.append((f"in all: {1e6 / total:,.0f} sessions/s", f"{total:.1f}"))
    show(f"\n{table(rows)}")
    assert min(cost.values()) > 0
