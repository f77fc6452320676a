"""Time and room are bounded: late is not executed, too much is refused, a stop loses nothing."""

import asyncio
from datetime import timedelta

from nats.aio.client import Client

from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted, Rejected, Reply
from shared.kernel.clock import SystemClock
from shared.messaging.commands import CommandClient, CommandContext
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from tests.messaging.conftest import DEADLINE_S, META
from tests.messaging.serving import ACCEPTED, COMMAND, code, serving


async def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(nats: Client):
    let_go = asyncio.Event()

    async def slow(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        await let_go.wait()
        return ACCEPTED

    async with serving(nats, slow):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META, timeout_s=0.05)
        let_go.set()
    assert code(reply) == "no_answer"


async def test_a_command_whose_deadline_has_passed_is_not_executed(nats: Client):
    done: list[str] = []

    async def record(command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        done.append(command.agent_id)
        return ACCEPTED

    late = FakeClock(SystemClock().now() + timedelta(hours=1))
    async with serving(nats, record, clock=late):
        reply = await CommandClient(nats, "gateway").send(COMMAND, meta=META)
    assert code(reply) == "deadline_passed"
    assert done == []


async def test_a_command_that_waited_past_its_deadline_is_not_executed(nats: Client):
    done: list[str] = []
    let_go = asyncio.Event()
    clock = FakeClock(SystemClock().now())

    async def record(command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        done.append(command.agent_id)
        await let_go.wait()
        return ACCEPTED

    async with serving(nats, record, concurrency=1, clock=clock) as server:
        client = CommandClient(nats, "gateway", clock=clock)
        replies = [
            asyncio.create_task(
                client.send(SetAgentSchedulable(agent_id=name, schedulable=True), meta=META)
            )
            for name in ("first", "second")
        ]
        await eventually(lambda: server.load == (1, 1))
        clock.advance(60)
        let_go.set()
        first, second = await asyncio.gather(*replies)
    assert first == ACCEPTED
    assert code(second) == "deadline_passed"
    assert done == ["first"]


async def test_overload_is_refused_at_once_and_what_was_taken_is_done(nats: Client):
    let_go = asyncio.Event()

    async def wait(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        await let_go.wait()
        return ACCEPTED

    async with serving(nats, wait, concurrency=4, queue_limit=16) as server:
        client = CommandClient(nats, "gateway")
        sent = [asyncio.create_task(client.send(COMMAND, meta=META)) for _ in range(200)]
        await eventually(lambda: sum(task.done() for task in sent) == 180)
        assert server.load == (4, 16)
        let_go.set()
        replies = await asyncio.gather(*sent)
        again = await client.send(COMMAND, meta=META)
    assert [reply for reply in replies if isinstance(reply, Accepted)] == [ACCEPTED] * 20
    refused = [reply for reply in replies if isinstance(reply, Rejected)]
    assert {code(reply) for reply in refused} == {"overloaded"}
    assert {reply.rejection.retry_after_s for reply in refused} == {1}
    assert again == ACCEPTED


async def test_stopping_finishes_what_was_taken_and_refuses_the_rest(nats: Client):
    started = asyncio.Event()
    let_go = asyncio.Event()

    async def wait(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        started.set()
        await let_go.wait()
        return ACCEPTED

    async with serving(nats, wait, concurrency=1) as server:
        client = CommandClient(nats, "gateway")
        taken = asyncio.create_task(client.send(COMMAND, meta=META))
        await started.wait()
        stopping = asyncio.create_task(server.stop(DEADLINE_S))
        async with asyncio.timeout(DEADLINE_S):
            while (
                code_of_refusal(await client.send(COMMAND, meta=META, timeout_s=0.2))
                != "service_away"
            ):
                pass
        let_go.set()
        assert await taken == ACCEPTED
        await stopping


def code_of_refusal(reply: Reply) -> str:
    return reply.rejection.code if isinstance(reply, Rejected) else ""


async def test_what_cannot_be_finished_before_the_end_is_told_so(nats: Client):
    async def never(_command: SetAgentSchedulable, _context: CommandContext) -> Accepted:
        await asyncio.Event().wait()
        return ACCEPTED

    async with serving(nats, never, concurrency=1) as server:
        client = CommandClient(nats, "gateway")
        sent = [asyncio.create_task(client.send(COMMAND, meta=META)) for _ in range(3)]
        await eventually(lambda: server.load == (1, 2))
        await server.stop(0.05)
        replies = await asyncio.gather(*sent)
    assert [code(reply) for reply in replies] == ["stopping"] * 3
