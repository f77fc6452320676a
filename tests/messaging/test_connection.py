"""Our connections to NATS can be cancelled, fail at once while away, and come back."""

import asyncio
from urllib.parse import urlsplit

import pytest
from nats.aio.client import Client
from nats.errors import OutboundBufferLimitError
from nats.errors import TimeoutError as NatsTimeoutError

from shared.messaging import connection
from shared.testing.eventually import eventually
from shared.testing.servers import NatsServer
from tests.messaging.conftest import DEADLINE_S


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(nats: Client):
    async def answer(message) -> None:
        await message.respond(b"yes")

    await nats.subscribe("ask", cb=answer)
    await nats.request("ask")
    for spins in range(60):

        async def ask_for_ever() -> None:
            while True:
                await nats.request("ask", timeout=5)

        task = asyncio.create_task(ask_for_ever())
        for _ in range(spins):
            await asyncio.sleep(0)
        await nats.flush()
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=DEADLINE_S)
        assert done
        assert task.cancelled()


async def test_a_request_that_nobody_answers_ends_in_time(nats: Client):
    async def silence(_message) -> None:
        return

    await nats.subscribe("silence", cb=silence)
    with pytest.raises(NatsTimeoutError):
        await nats.request("silence", timeout=0.05)


async def test_nothing_is_kept_for_later_while_the_server_is_away(
    nats: Client, nats_server: NatsServer
):
    await nats_server.kill()
    await eventually(lambda: not nats.is_connected)
    with pytest.raises(OutboundBufferLimitError):
        await nats.publish("x", b"late")


async def test_a_connection_comes_back_and_tells_those_who_asked(
    nats: Client, nats_server: NatsServer
):
    back = asyncio.Event()

    async def reconnected() -> None:
        back.set()

    forget = connection.on_reconnect(nats, reconnected)
    await nats_server.kill()
    await nats_server.start()
    async with asyncio.timeout(DEADLINE_S):
        await back.wait()
    forget()
    await nats.publish("x", b"now")


async def test_after_a_flush_the_server_has_every_subscription_made_before_it(
    nats_server: NatsServer,
):
    sent = bytearray()
    server = urlsplit(nats_server.url)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection(server.hostname, server.port)

        async def carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if to is out:
                    sent.extend(data)
                to.write(data)
            to.close()

        await asyncio.gather(carry(reader, out), carry(there, writer))

    async with await asyncio.start_server(pipe, "127.0.0.1", 0) as between:
        host, port = between.sockets[0].getsockname()
        through = server._replace(netloc=f"{server.username}:{server.password}@{host}:{port}")
        client = await connection.connect(through.geturl(), "tests")
        await client.subscribe("here")
        await client.flush()
        assert sent.index(b"SUB here") < sent.rindex(b"PING")
        await connection.close(client)


async def test_connecting_to_nobody_ends_in_time(free_port: int):
    with pytest.raises(TimeoutError):
        await connection.connect(f"nats://127.0.0.1:{free_port}", "tests", timeout_s=0.3)


async def test_closing_while_the_server_is_away_is_quiet(nats_server: NatsServer):
    client = await connection.connect(nats_server.url, "tests")
    await nats_server.kill()
    await connection.close(client)
    assert client.is_closed


async def test_headers_arrive_as_they_were_sent(nats: Client):
    received: asyncio.Queue = asyncio.Queue()

    async def take(message) -> None:
        received.put_nowait(message.headers)

    headers = {"a": "1", "qm-meta": '{"name":"ä: b"}', "empty": "", "Mixed-Case": " padded "}
    await nats.subscribe("headers", cb=take)
    await nats.publish("headers", b"", headers=headers)
    async with asyncio.timeout(DEADLINE_S):
        found = await received.get()
    assert found == {"a": "1", "qm-meta": '{"name":"ä: b"}', "empty": "", "Mixed-Case": "padded"}


def test_lines_that_are_no_headers_are_left_out():
    parse = connection.PromptClient._parse_header_lines
    raw = "ok: yes\r\nno colon\r\nbad name: x\r\nnäme: x\r\n: x\r\nlate:y\r\n\r\n".encode()
    assert parse(raw) == {"ok": "yes", "late": "y"}
