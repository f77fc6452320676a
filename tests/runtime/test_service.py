"""A service starts whatever is missing, survives what goes away, and stops without losing work."""

import asyncio
import signal
from collections.abc import AsyncIterator

import psutil
import pytest_asyncio
from nats.aio.client import Client

from deploy.embedded.ports import free_port
from shared.contracts.agents import SetAgentSchedulable
from shared.contracts.base import Accepted, Rejected, Reply
from shared.messaging import connection
from shared.messaging.commands import CommandClient
from shared.testing.eventually import eventually
from shared.testing.servers import Databases, NatsServer, PostgresServer
from tests.runtime.conftest import DEADLINE_S, META, Running, started

ACCEPTED = Accepted(service="agents", position=42)


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connection.connect(nats_server.url, "tests")
    yield client
    await connection.close(client)


@pytest_asyncio.fixture(loop_scope="session")
async def service(postgres: Databases, nats_server: NatsServer) -> AsyncIterator[Running]:
    database_url = await postgres.empty()
    async with started(database_url=database_url, nats_url=nats_server.url) as running:
        await running.ready()
        yield running


async def send(nats: Client, agent_id: str = "a", timeout_s: float = DEADLINE_S) -> Reply:
    command = SetAgentSchedulable(agent_id=agent_id, schedulable=True)
    return await CommandClient(nats, "tests").send(command, meta=META, timeout_s=timeout_s)


async def until_accepted(nats: Client) -> set[str]:
    """Send until a command is accepted; returns the codes of the refusals before."""
    codes: set[str] = set()

    async def is_accepted() -> bool:
        reply = await send(nats, timeout_s=1)
        if isinstance(reply, Rejected):
            codes.add(reply.rejection.code)
        return isinstance(reply, Accepted)

    await eventually(is_accepted, DEADLINE_S)
    return codes


async def test_a_service_answers_commands_and_tells_its_health(service: Running, nats: Client):
    assert await send(nats) == ACCEPTED
    assert (await service.get("/healthz")).json() == {"status": "alive"}
    report = await service.ready()
    assert report["checks"].keys() >= {"postgres", "nats", "commands"}
    metrics = (await service.get("/metrics")).text
    assert 'qm_commands_total{outcome="accepted",type="SetAgentSchedulable"} 1.0' in metrics
    assert (await service.get("/anything/else")).status_code == 404


async def test_a_stop_lets_the_command_in_flight_finish(service: Running, nats: Client):
    arrived: asyncio.Queue = asyncio.Queue()

    async def hold(message) -> None:
        arrived.put_nowait(message)

    await nats.subscribe("test.slow", cb=hold)
    slow = asyncio.create_task(send(nats, "slow"))
    async with asyncio.timeout(DEADLINE_S):
        message = await arrived.get()
        service.signal(signal.SIGTERM)
        while not isinstance(reply := await send(nats, timeout_s=1), Rejected):
            pass
    assert reply.rejection.code in {"service_away", "stopping"}
    await message.respond(b"go on")
    assert await slow == ACCEPTED
    assert await service.ended() == 0
    assert service.said("stopped")


async def test_a_background_task_that_fails_ends_the_process_with_its_reason(
    service: Running, nats: Client
):
    await send(nats, "crash")
    assert await service.ended() == 1
    [line] = service.said("background_task_failed")
    assert line["task"] == "watcher"
    assert "told to crash" in line["exception"]


async def test_a_service_waits_for_nats_and_says_so(postgres: Databases, nats_server: NatsServer):
    await nats_server.stop()
    database_url = await postgres.empty()
    async with started(database_url=database_url, nats_url=nats_server.url) as running:
        report = await running.until(lambda found: "postgres" in found["checks"])
        assert report["status"] == "failed"
        assert "no NATS yet" in report["checks"]["phase"]["detail"]
        assert (await running.get("/healthz")).status_code == 200
        assert (await running.get("/readyz")).status_code == 503
        await nats_server.start()
        await running.ready()


async def test_a_service_that_finds_no_server_in_time_ends_with_an_error(free_port: int):
    async with started(
        database_url=f"postgresql://u:p@127.0.0.1:{free_port}/d",
        nats_url=f"nats://127.0.0.1:{free_port}",
        start_timeout_s="0.5",
    ) as running:
        assert await running.ended() == 1
        assert running.said("start_failed")
        assert running.said("service_failed")


async def test_a_stop_during_the_start_is_heeded(free_port: int):
    async with started(nats_url=f"nats://127.0.0.1:{free_port}") as running:
        await running.until(lambda report: "no NATS yet" in report["checks"]["phase"]["detail"])
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0


async def test_a_taken_port_ends_the_process_with_a_clear_line(
    service: Running, nats_server: NatsServer
):
    async with started(nats_url=nats_server.url, http_port=str(service.port)) as second:
        assert await second.ended() == 1
        [line] = second.said("start_failed")
        assert "Address already in use" in line["exception"]
    assert (await service.get("/healthz")).status_code == 200


async def test_nats_may_be_killed_and_come_back(
    service: Running, nats: Client, nats_server: NatsServer
):
    await nats_server.kill()
    report = await service.until(lambda found: found["checks"]["nats"]["state"] == "failed")
    assert report["status"] == "failed"
    await nats_server.start()
    await service.ready()
    assert await until_accepted(nats) <= {"bus_away", "service_away", "no_answer"}


async def test_postgres_may_hang_or_be_killed_and_come_back(nats: Client, nats_server: NatsServer):
    server = PostgresServer()
    await server.start()
    try:
        url = server.admin_url(await server.create())
        child = server.embedded.child
        assert child is not None
        async with started(database_url=url, nats_url=nats_server.url) as running:
            await running.ready()
            whole = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
            for part in whole:
                part.suspend()
            await running.until(lambda found: found["checks"]["postgres"]["state"] == "failed")
            for part in whole:
                part.resume()
            await running.ready()
            child.kill()
            await child.wait()
            reply = await send(nats)
            assert isinstance(reply, Rejected)
            assert reply.rejection.code == "log_away"
            await running.until(lambda found: found["checks"]["postgres"]["state"] == "failed")
            await server.start()
            await running.ready()
            assert await until_accepted(nats) <= {"log_away"}
    finally:
        await server.stop()


async def test_a_service_waits_for_postgres_and_says_so(nats_server: NatsServer):
    port = free_port()
    url = f"postgresql://u:p@127.0.0.1:{port}/d"
    async with started(database_url=url, nats_url=nats_server.url) as running:
        report = await running.until(
            lambda found: "no Postgres yet" in found["checks"]["phase"]["detail"]
        )
        assert "ConnectionRefusedError" in report["checks"]["phase"]["detail"]
