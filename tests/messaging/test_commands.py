"""Every command is answered: accepted, refused, or why nobody could take it."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted, Actor, Meta, Rejected, Reply
from shared.eventlog.records import CommandKey
from shared.kernel.clock import SystemClock, render_time
from shared.kernel.rejections import Rejection, conflict
from shared.messaging.commands import CommandClient, CommandContext
from shared.messaging.envelope import Envelope, headers_of, read_headers
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.messaging.conftest import DEADLINE_S, META
from tests.messaging.serving import ACCEPTED, COMMAND, accept, code, serving

SUBJECT = "cmd.agents.SetAgentSchedulable"


async def raw(nats: Client, body: bytes, headers: dict[str, str], subject: str = SUBJECT) -> Reply:
    answer = await nats.request(subject, body, timeout=DEADLINE_S, headers=headers)
    return msgspec.json.decode(answer.data, type=Reply)


def good_headers(**changed: str) -> dict[str, str]:
    now = SystemClock().now()
    envelope = Envelope("id-1", META, now + timedelta(seconds=30))
    return {**headers_of("SetAgentSchedulable", "tests", envelope, now), **changed}


async def test_a_handler_learns_who_asked_why_and_until_when(nats: Client):
    seen: list[tuple[SetAgentSchedulable, CommandContext]] = []

    async def handler(command: SetAgentSchedulable, context: CommandContext) -> Accepted:
        seen.append((command, context))
        return Accepted(service="agents", position=3, result={"n": 1})

    before = SystemClock().now()
    async with serving(nats, handler):
        reply = await CommandClient(nats, "gateway").send(
            COMMAND,
            meta=META,
            idempotency=CommandKey("user:u-1:key ä/1", "digest"),
            timeout_s=9,
            command_id="command-1",
        )
    assert reply == Accepted(service="agents", position=3, result={"n": 1})
    [(command, context)] = seen
    assert command == COMMAND
    assert context.command_id == "command-1"
    assert context.meta == msgspec.structs.replace(META, causation_id="command-1")
    assert context.idempotency == CommandKey("user:u-1:key ä/1", "digest")
    assert timedelta(seconds=8.9) < context.deadline - before < timedelta(seconds=29)


async def test_headers_are_cloudevents_in_binary_mode(nats: Client):
    received: asyncio.Queue = asyncio.Queue()

    async def listener(message) -> None:
        received.put_nowait(message)
        await message.respond(msgspec.json.encode(ACCEPTED))

    await nats.subscribe(SUBJECT, cb=listener)
    assert await CommandClient(nats, "gateway").send(COMMAND, meta=META) == ACCEPTED
    message = received.get_nowait()
    assert msgspec.json.decode(message.data, type=SetAgentSchedulable) == COMMAND
    expected = {
        "ce-specversion": "1.0",
        "ce-type": "SetAgentSchedulable",
        "ce-source": "/quartermaster/gateway",
        "ce-correlationid": "c-1",
        "ce-causationid": "cause-1",
        "content-type": "application/json",
    }
    assert message.headers.items() >= expected.items()
    assert {"ce-id", "ce-time"} <= message.headers.keys()


async def test_a_refusal_comes_back_as_it_was_made(nats: Client):
    refusal = conflict("taken", "That is taken.", by="me")

    async def refuse(_command: SetAgentSchedulable, _context: CommandContext) -> Rejection:
        return refusal

    async with serving(nats, refuse):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META)
    assert reply == Rejected(rejection=refusal)


async def test_without_a_responder_the_answer_is_unavailable_at_once(nats: Client):
    async with asyncio.timeout(5):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META, timeout_s=600)
    assert code(reply) == "service_away"
    assert reply.rejection.kind == "unavailable"
    assert reply.rejection.retry_after_s


async def test_while_the_bus_is_away_the_answer_is_unavailable_at_once(
    nats: Client, nats_server: NatsServer
):
    await nats_server.kill()
    await eventually(lambda: not nats.is_connected)
    async with asyncio.timeout(5):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META, timeout_s=600)
    assert code(reply) == "bus_away"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"type":"SetAgentSchedulable"}',
        b'{"type":"Other","agent_id":"a","schedulable":true}',
        b'{"type":"SetAgentSchedulable","agent_id":1,"schedulable":true}',
        b'{"type":"SetAgentSchedulable","agent_id":"a","schedulable":true,"more":1}',
    ],
)
async def test_a_body_that_is_no_such_command_is_malformed(nats: Client, body: bytes):
    async with serving(nats, accept):
        reply = await raw(nats, body, good_headers())
    assert code(reply) == "malformed_command"
    assert reply.rejection.kind == "malformed"


@pytest.mark.parametrize(
    "changed",
    [
        {"qm-meta": ""},
        {"qm-meta": "{}"},
        {"qm-meta": "no json"},
        {"qm-deadline": "tomorrow"},
        {"qm-deadline": "2026-01-01T00:00:00"},
        {"ce-id": ""},
        {"qm-idempotency-key": "alone"},
    ],
)
async def test_headers_that_make_no_sense_are_malformed(nats: Client, changed: dict[str, str]):
    async with serving(nats, accept):
        reply = await raw(nats, msgspec.json.encode(COMMAND), good_headers(**changed))
    assert code(reply) == "malformed_headers"


async def test_a_command_that_the_service_does_not_know_is_refused(nats: Client):
    async with serving(nats, accept):
        reply = await raw(nats, b"{}", good_headers(), subject="cmd.agents.Explode")
    assert code(reply) == "unknown_command"


async def test_a_bug_in_a_handler_is_answered_without_its_details(nats: Client):
    async def broken(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        raise ZeroDivisionError("secret detail")

    async with serving(nats, broken):
        client = CommandClient(nats, "gateway")
        reply = await client.send(COMMAND, meta=META)
        assert code(reply) == "internal_error"
        assert "secret" not in msgspec.json.encode(reply).decode()
        assert code(await client.send(COMMAND, meta=META)) == "internal_error"


async def test_a_part_that_is_away_makes_the_command_unavailable(nats: Client):
    async def away(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        raise ConnectionRefusedError

    async with serving(nats, away):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META)
    assert code(reply) == "log_away"
    assert reply.rejection.retry_after_s == 2


async def test_a_command_too_large_for_the_bus_is_refused_by_the_sender(nats: Client):
    huge = SetAgentSchedulable(agent_id="x" * nats.max_payload, schedulable=True)
    reply = await CommandClient(nats, "gateway").send(huge, meta=META)
    assert code(reply) == "too_large"


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


@example("0", "0", "\x7f", "0")
@given(texts, texts, texts, texts)
def test_any_text_passes_through_the_headers_unharmed(
    correlation: str, request: str, actor: str, key: str
):
    meta = Meta(actor=Actor(kind="user", id=actor), correlation_id=correlation, request_id=request)
    now = SystemClock().now()
    sent = Envelope("id-1", meta, now, key, "digest", {"users": 3, "policies": 12})
    headers = headers_of("X", "tests", sent, now)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    found = read_headers({name: value.strip() for name, value in headers.items()})
    assert found == sent._replace(deadline=found.deadline)
    assert render_time(found.deadline) == render_time(now)


class Following:
    """A replica that is told what it has heard of."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self.asked: list[dict[str, int]] = []

    async def reached(self, seen, timeout_s: float) -> bool:
        self.asked.append(dict(seen))
        try:
            return (await asyncio.wait_for(self.heard, timeout_s)).items() >= seen.items()
        except TimeoutError:
            return False


async def test_nothing_is_decided_before_the_replica_has_what_the_sender_had_seen(nats: Client):
    replica = Following()
    async with serving(nats, accept) as server:
        server.follow(replica)
        client = CommandClient(nats, "gateway")
        asked = asyncio.create_task(client.send(COMMAND, meta=META, seen={"policies": 12}))
        await eventually(lambda: replica.asked == [{"policies": 12}])
        assert not asked.done()
        replica.heard.set_result({"policies": 12})
        assert await asked == ACCEPTED


async def test_a_replica_that_stays_behind_is_said_to_be(nats: Client):
    replica = Following()
    replica.heard.set_result({"policies": 11})
    async with serving(nats, accept) as server:
        server.follow(replica)
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META, seen={"policies": 12})
    assert code(reply) == "behind"


async def test_who_does_not_share_gets_every_command_whoever_else_is_there(nats: Client):
    seen: list[str] = []

    async def keep_silent(command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        await asyncio.Event().wait()  # as one that was stopped
        return ACCEPTED

    async def note(command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        seen.append(command.agent_id)
        return ACCEPTED

    client = CommandClient(nats, "gateway")
    async with (
        serving(nats, keep_silent, shares=False) as stopped,
        serving(nats, note, shares=False),
    ):
        for number in range(20):
            command = SetAgentSchedulable(agent_id=str(number), schedulable=True)
            assert await client.send(command, meta=META) == ACCEPTED
        await stopped.stop(0.1)
    assert seen == [str(number) for number in range(20)]
