"""One installation of the services for all files of tests here."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from shared.kernel.ids import new_id
from shared.testing.servers import PostgresServer
from tests.gateway.integration.harness import PASSWORD, Stack, eventually, start_stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    made = await start_stack(postgres_server, tmp_path_factory.mktemp("gateway"))
    try:
        yield made
    finally:
        await made.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def admin(stack: Stack) -> httpx.AsyncClient:
    return await stack.logged_in()


@pytest_asyncio.fixture(loop_scope="session")
async def agent(stack: Stack, admin: httpx.AsyncClient) -> str:
    """An agent that the services know, ready for sessions."""
    await stack.beat("a1")

    async def listed():
        await stack.beat("a1")
        return (await admin.get("/v1/agents")).json()["items"]

    await eventually(listed, lambda items: any(item["live"] for item in items))
    return "a1"


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: Stack, admin: httpx.AsyncClient):
    """A new plain user: the creation answer, and a client that signs as that user."""
    name = f"u{new_id()[-12:]}"
    answer = await admin.post(
        "/v1/users",
        json={"email": f"{name}@example.org", "username": name, "password": PASSWORD},
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return made, stack.signed(made["main_access_key"], made["secret_key"])
