"""Whether a service is ready is asked of that service, whoever else may have its port."""

import asyncio
from contextlib import asynccontextmanager

from deploy.embedded.probe import is_ready, until_ready
from shared.observability.health import Health
from shared.runtime.http import HttpServer


@asynccontextmanager
async def serving(service):
    server = HttpServer("127.0.0.1", 0, Health(service))
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def test_a_service_that_says_so_is_ready():
    async with serving("gateway") as port:
        assert await is_ready(port)
        assert await until_ready("gateway", port, timeout_s=30)


async def test_another_service_at_its_port_does_not_make_it_ready():
    async with serving("users") as port:
        assert not await is_ready(port, service="gateway")
        assert not await until_ready("gateway", port, timeout_s=0.2)


async def test_another_program_at_its_port_does_not_make_it_ready():
    async def answer(_reader, writer):
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>Hello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        assert not await is_ready(port, service="gateway")
