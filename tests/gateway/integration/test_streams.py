"""What goes on: the live stream and logs that are followed."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest_asyncio

from shared.contracts.kernels import KernelLogPiece, ReadKernelLog
from shared.contracts.subjects import node_log_subject
from shared.kernel.ids import new_id
from shared.messaging.queries import QueryServer
from tests.gateway.integration.harness import IMAGE, PASSWORD, eventually

BODY = {
    "type": "batch",
    "image": IMAGE,
    "resources": {"cpu": "0.1", "mem": "16m"},
    "command": ["true"],
}


async def submit(client):
    answer = await client.post("/v1/sessions", json={**BODY, "name": f"s{new_id()[-12:]}"})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def seen(client, session, *statuses):
    async def ask():
        return (await client.get(f"/v1/sessions/{session['id']}")).json()

    return await eventually(ask, lambda found: found["status"] in statuses)


class Node:
    """Answers for logs as a node does: waits for more unless the kernel has ended."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False
        self.changed = asyncio.Condition()

    async def write(self, data, *, ended=False):
        async with self.changed:
            self.written += data
            self.ended = ended
            self.changed.notify_all()

    async def answer(self, asked: ReadKernelLog) -> KernelLogPiece:
        async with self.changed:
            try:
                async with asyncio.timeout(asked.wait_s):
                    await self.changed.wait_for(
                        lambda: len(self.written) > asked.offset or self.ended
                    )
            except TimeoutError:
                pass
            data = self.written[asked.offset : asked.offset + asked.limit]
            return KernelLogPiece(data=data, next_offset=asked.offset + len(data), ended=self.ended)


@pytest_asyncio.fixture(loop_scope="session")
async def node(stack, agent):
    made = Node()
    server = QueryServer(stack.nats, "node")
    await server.answer(ReadKernelLog, made.answer, subject=node_log_subject(agent))
    yield made
    await server.stop()


@asynccontextmanager
async def events(client, topics):
    """Give a function that returns the next event of a live stream, as (name, data)."""
    async with client.stream("GET", f"/live?topics={topics}", timeout=30) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert (await anext(lines)).startswith(":")

        async def following():
            name = ""
            async for line in lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
            raise AssertionError("the stream ended")

        yield following


async def test_a_change_reaches_an_open_page(stack, admin, agent):
    async with events(admin, "sessions,queue:default") as following:
        made = await submit(admin)
        names = set()
        async with asyncio.timeout(20):
            while names != {"sessions", "queue:default"}:
                name, data = await following()
                names.add(name)
                if name == "sessions":
                    assert made["id"] in data["ids"]
    await stack.end(await seen(admin, made, "SCHEDULED"))


async def test_a_heartbeat_reaches_an_open_page(stack, admin, agent):
    async with events(admin, f"agent:{agent}") as following:
        await stack.beat(agent)
        assert (await following())[1]["ids"] == [agent]


async def test_a_policy_and_a_setting_reach_an_open_page(stack, admin, person):
    own = await stack.logged_in(person[0]["email"], PASSWORD)
    async with events(own, "policies,settings") as following:
        made = await admin.post("/v1/user-policies", json={"name": new_id()})
        assert made.status_code == 201, made.text
        assert await following() == ("policies", {"topic": "policies", "ids": [made.json()["id"]]})
        changed = await admin.patch("/v1/settings", json={"announcement": new_id()})
        assert changed.status_code == 200, changed.text
        assert (await following())[1] == {"topic": "settings", "ids": ["announcement"]}
    await admin.delete("/v1/settings/announcement")


async def test_nobody_is_told_of_what_they_may_not_see(stack, admin, agent, person):
    made, _ = person
    own = await stack.logged_in(made["email"], PASSWORD)
    for topics in ("agents", "queue:default"):
        assert (await own.get(f"/live?topics={topics}")).status_code == 403
    theirs = await submit(admin)
    assert (await own.get(f"/live?topics=session:{theirs['id']}")).status_code == 404
    async with events(own, "sessions") as following:
        other = await submit(admin)
        mine = await submit(own)
        _, data = await following()
        assert mine["id"] in data["ids"]
        assert other["id"] not in data["ids"]
    for session in (theirs, other, mine):
        await stack.end(await seen(admin, session, "SCHEDULED"))


async def test_a_log_is_followed_from_before_its_start_to_its_end(stack, admin, agent, node):
    session = await submit(admin)
    heard = b""
    async with admin.stream("GET", f"/v1/sessions/{session['id']}/logs?follow=true") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        pieces = response.aiter_bytes()
        placed = await seen(admin, session, "SCHEDULED")
        await stack.run(placed)
        await node.write(b"first line\n")
        heard += await anext(pieces)
        await node.write(b"caf\xc3\xa9 \xff\n", ended=True)
        await stack.end(placed)
        async for piece in pieces:
            heard += piece
    assert heard == b"first line\ncaf\xc3\xa9 \xff\n"
    whole = await admin.get(f"/v1/sessions/{session['id']}/logs")
    assert whole.content == heard
    other = await admin.get(f"/v1/sessions/{session['id']}/logs?kernel=sub9")
    assert other.status_code == 404


async def test_a_log_of_a_node_that_is_away_is_503_and_of_nothing_is_empty(stack, admin, agent):
    session = await submit(admin)
    placed = await seen(admin, session, "SCHEDULED")
    answer = await admin.get(f"/v1/sessions/{session['id']}/logs")
    assert (answer.status_code, answer.json()["code"]) == (503, "agent_away")
    assert int(answer.headers["retry-after"]) >= 1
    await stack.end(placed)
