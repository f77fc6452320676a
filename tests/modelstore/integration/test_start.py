"""The modelstore service starts, is healthy, and stops cleanly; that is all it does yet."""

import asyncpg
import httpx
import pytest

from shared.testing.servers import Databases, NatsServer
from shared.testing.services import ServiceProcess


async def test_it_starts_is_healthy_and_stops(postgres: Databases, nats_server: NatsServer) -> None:
    url = await postgres.database("modelstore")
    service = ServiceProcess("modelstore", {"QM_DATABASE_URL": url, "QM_NATS_URL": nats_server.url})
    await service.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}") as client:
        answers = {path: await client.get(path) for path in ("/healthz", "/readyz", "/metrics")}
        absent = await client.get("/v1/anything")
    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/healthz": 200,
        "/readyz": 200,
        "/metrics": 200,
    }
    assert answers["/readyz"].json()["checks"]["postgres"] == {"state": "ok"}
    assert absent.status_code == 404
    assert await service.stop() == 0


async def test_it_says_what_it_lacks(postgres: Databases) -> None:
    service = ServiceProcess(
        "modelstore", {"QM_DATABASE_URL": await postgres.database("modelstore")}
    )
    await service.spawn()
    assert await service.wait_ended() != 0
    assert "QM_NATS_URL is missing" in service.output


async def test_its_role_cannot_change_history(postgres: Databases) -> None:
    connection = await asyncpg.connect(await postgres.database("modelstore"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("delete from events")
    await connection.close()
