"""Peers answer each other's questions, or say why not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ClassVar

import msgspec
import pytest
from nats.aio.client import Client

from shared.kernel.clock import SystemClock
from shared.kernel.rejections import Rejection, not_found
from shared.messaging import telemetry
from shared.messaging.queries import QueryClient, QueryServer
from shared.testing.clock import FakeClock
from shared.testing.eventually import eventually
from tests.messaging.conftest import DEADLINE_S


class Ask(msgspec.Struct, frozen=True, tag="Ask"):
    SERVICE: ClassVar = "users"
    number: int


class Told(msgspec.Struct, frozen=True):
    number: int


@asynccontextmanager
async def answering(nats: Client, handler, **options) -> AsyncIterator[QueryServer]:
    server = QueryServer(nats, "users", **options)
    await server.answer(Ask, handler)
    try:
        yield server
    finally:
        await server.stop()


async def twice(query: Ask) -> Told:
    return Told(query.number * 2)


async def test_a_question_is_answered(nats: Client):
    async with answering(nats, twice):
        assert await QueryClient(nats).ask(Ask(21), type=Told) == Told(42)


async def test_a_question_may_have_a_subject_of_its_own(nats: Client):
    server = QueryServer(nats, "node")
    await server.answer(Told, twice, subject="node.n-1.log")
    answer = await QueryClient(nats).ask(Told(1), type=Told, subject="node.n-1.log")
    await server.stop()
    assert answer == Told(2)


async def test_a_refusal_is_an_answer(nats: Client):
    async def refuse(_query: Ask) -> Rejection:
        return not_found("user", "u-1")

    async with answering(nats, refuse):
        assert await QueryClient(nats).ask(Ask(1), type=Told) == not_found("user", "u-1")


async def test_nobody_there_is_told_at_once(nats: Client):
    async with asyncio.timeout(5):
        answer = await QueryClient(nats).ask(Ask(1), type=Told, timeout_s=600)
    assert isinstance(answer, Rejection)
    assert answer.code == "service_away"


@pytest.mark.parametrize("body", [b"", b"{", b'{"type":"Ask"}', b'{"number":"x"}', b"\xff"])
async def test_a_malformed_question_is_refused(nats: Client, body: bytes):
    async with answering(nats, twice):
        answer = await nats.request("qry.users.Ask", body, timeout=DEADLINE_S)
    assert answer.headers["qm-status"] == "rejected"
    assert msgspec.json.decode(answer.data, type=Rejection).code == "malformed_query"


async def test_a_bug_is_answered_and_an_outage_told_apart(nats: Client):
    problem: list[Exception] = [ZeroDivisionError(), ConnectionRefusedError()]

    async def fail(_query: Ask) -> Told:
        raise problem.pop(0)

    async with answering(nats, fail):
        first = await QueryClient(nats).ask(Ask(1), type=Told)
        second = await QueryClient(nats).ask(Ask(1), type=Told)
    assert isinstance(first, Rejection)
    assert isinstance(second, Rejection)
    assert (first.code, second.code) == ("internal_error", "away")


async def test_a_late_question_is_not_worked_on(nats: Client):
    asked: list[int] = []

    async def record(query: Ask) -> Told:
        asked.append(query.number)
        return Told(0)

    late = FakeClock(SystemClock().now() + timedelta(hours=1))
    async with answering(nats, record, clock=late):
        answer = await QueryClient(nats).ask(Ask(1), type=Told, timeout_s=0.2)
    assert isinstance(answer, Rejection)
    assert answer.code == "no_answer"
    assert asked == []


async def test_too_many_questions_are_refused(nats: Client):
    let_go = asyncio.Event()

    async def wait(query: Ask) -> Told:
        await let_go.wait()
        return Told(query.number)

    async with answering(nats, wait, concurrency=2, queue_limit=3):
        client = QueryClient(nats)
        asked = [asyncio.create_task(client.ask(Ask(n), type=Told)) for n in range(30)]
        await eventually(lambda: sum(task.done() for task in asked) == 25)
        let_go.set()
        answers = await asyncio.gather(*asked)
    told = [answer for answer in answers if isinstance(answer, Told)]
    assert len(told) == 5
    assert {a.code for a in answers if isinstance(a, Rejection)} == {"overloaded"}


async def test_an_answer_of_another_shape_is_not_believed(nats: Client):
    async def odd(_query: Ask) -> list[int]:
        return [1]

    async with answering(nats, odd):
        answer = await QueryClient(nats).ask(Ask(1), type=Told)
    assert isinstance(answer, Rejection)
    assert answer.code == "bad_answer"


async def test_an_answer_too_large_is_refused(nats: Client):
    async def huge(_query: Ask) -> str:
        return "x" * nats.max_payload

    async with answering(nats, huge):
        answer = await QueryClient(nats).ask(Ask(1), type=str)
    assert isinstance(answer, Rejection)
    assert answer.kind == "too_large"


async def test_telemetry_reaches_those_who_listen_and_skips_what_it_cannot_read(nats: Client):
    heard: asyncio.Queue[Told] = asyncio.Queue()

    async def hear(told: Told) -> None:
        heard.put_nowait(told)

    await telemetry.subscribe(nats, "tel.test.*", Told, hear)
    await nats.publish("tel.test.a", b"rubbish")
    assert await telemetry.publish(nats, "tel.test.a", Told(1))
    async with asyncio.timeout(DEADLINE_S):
        assert await heard.get() == Told(1)
    assert heard.empty()
