"""Every route is walked by every role, with an object of the own and of another domain."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.gateway.application import ROUTES
from shared.kernel.ids import new_id
from tests.gateway.integration.harness import IMAGE, PASSWORD, Stack, eventually
from tests.gateway.integration.permission_table import (
    LISTS,
    PUBLIC,
    READS,
    TABLE,
    VIEWERS,
)

WALKED = sorted(
    f"{method} {re.sub(r':(str|path)}', '}', path)}"
    for handler in ROUTES
    for path in handler.paths
    for method in handler.http_methods
)
SESSION = {
    "name": "walked",
    "type": "batch",
    "image": IMAGE,
    "command": "true",
    "resources": {"cpu": 1, "mem": "1g"},
}
LIVING = ("PENDING", "SCHEDULED", "PREPARING", "RUNNING", "TERMINATING")
STATUS = {"f": {403}, "h": {404}, "r": {403, 404, 422}}


@dataclass
class World:
    """Two domains, whoever looks, and what there is to be looked at: by noun, its id."""

    stack: Stack
    root: httpx.AsyncClient
    emails: dict[str, str] = field(default_factory=dict)
    viewers: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.root.post(path, json=body)
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def join(self, viewer: str, domain: str, role: str) -> dict[str, Any]:
        """Make a user who looks."""
        name = f"{domain}-{viewer}".replace(" ", "-")
        self.emails[viewer] = f"{name}@example.org"
        made = await self.post(
            "/v1/users",
            {
                "email": self.emails[viewer],
                "username": name,
                "password": PASSWORD,
                "domain": domain,
                "projects": [],
                "role": role,
            },
        )
        self.viewers[viewer] = await self.stack.logged_in(self.emails[viewer], PASSWORD)
        return made

    async def login_of_owner(self) -> str:
        body = {"email": self.emails["owner"], "password": PASSWORD}
        await self.stack.client().post("/v1/auth/login", json=body)
        found = await self.viewers["owner"].get("/v1/auth/sessions")
        newest: str = found.json()["items"][0]["id"]
        return newest

    async def renew(self, what: str, viewer: str) -> tuple[httpx.AsyncClient, dict[str, str]]:
        """Make what a call is about to use up; returns who calls, and the ids to call with."""
        client, ids = self.viewers[viewer], dict(self.ids)
        owner = self.ids["users"]
        if what == "logins":
            email = self.emails.get(viewer)
            client = await (
                self.stack.logged_in(email, PASSWORD) if email else self.stack.logged_in()
            )
        elif what == "login":
            ids["auth"] = ids["login_id"] = await self.login_of_owner()
        elif what == "member":
            ids["user_id"] = ids["other"]
            member = f"/v1/projects/{ids['projects']}/members/{ids['other']}"
            await self.root.put(member, json={"role": "member"})
        elif what.endswith("keypair"):
            made = await self.post("/v1/keypairs", {"user_id": owner})
            ids["keypairs"] = made["access_key"]
            if what == "inactive keypair":
                await self.post(f"/v1/keypairs/{made['access_key']}/deactivate")
        elif what == "preset":
            slots = {"cpu": 1, "mem": "1g"}
            made = await self.post("/v1/presets", {"name": new_id(), "resource_slots": slots})
            ids["presets"] = made["id"]
        elif what == "preference":
            await client.put(f"/v1/users/me/preferences/{owner}", json={"columns": []})
        elif what == "other user":
            ids["users"] = self.ids["other"]
        return client, ids


async def first_of(root: httpx.AsyncClient, noun: str) -> str:
    async def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await root.get(f"/v1/{noun}")).json()["items"]
        return found

    items = await eventually(listed, bool)
    key: str = items[0]["id"]
    return key


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: Stack, admin: httpx.AsyncClient) -> AsyncIterator[World]:
    made = World(stack, await stack.logged_in())
    made.viewers["superadmin"] = made.root
    for domain in ("east", "west"):
        await made.post("/v1/domains", {"name": domain})
    await made.join("monitor", "default", "monitor")
    await made.join("domain admin", "east", "admin")
    owner = await made.join("owner", "east", "user")
    await made.join("neighbour", "east", "user")
    await made.join("foreign admin", "west", "admin")
    await made.join("foreign user", "west", "user")
    other = await made.join("other", "east", "user")
    project = await made.post(
        "/v1/projects", {"name": "east-project", "domain": "east", "type": "general"}
    )
    member = f"/v1/projects/{project['id']}/members/{owner['id']}"
    assert (await made.root.put(member, json={"role": "member"})).status_code in {200, 201}
    keypair = await made.post("/v1/keypairs", {"user_id": owner["id"]})

    async def submitted() -> httpx.Response:
        await stack.beat()
        return await made.viewers["owner"].post("/v1/sessions", json=SESSION)

    session = await eventually(submitted, lambda answer: answer.status_code == 201)
    presets, images = [await first_of(made.root, noun) for noun in ("presets", "images")]
    made.ids = {
        "users": owner["id"],
        "user_id": owner["id"],
        "other": other["id"],
        "keypairs": keypair["access_key"],
        "domains": "east",
        "projects": project["id"],
        "sessions": session.json()["id"],
        "agents": "a1",
        "presets": presets,
        "settings": "overlay_mtu",
        "images": images,
        "auth": await made.login_of_owner(),
        "login_id": "none",
        "tasks": "none",
    }
    yield made
    await clear(stack, made.root)


async def clear(stack: Stack, root: httpx.AsyncClient) -> None:
    """End what was submitted, so that the agent is free for whoever comes next."""

    async def living() -> list[dict[str, Any]]:
        query = "&".join(f"status={status}" for status in LIVING)
        found: list[dict[str, Any]] = (await root.get(f"/v1/sessions?limit=500&{query}")).json()[
            "items"
        ]
        for session in found:
            await root.delete(f"/v1/sessions/{session['id']}?forced=true")
            if session["agents"]:
                await stack.end(session)
        return found

    await eventually(living, lambda found: not found)


def filled(value: Any, ids: dict[str, str]) -> Any:
    names = {"{user}": ids["users"], "{domain}": "east"}
    if isinstance(value, dict):
        return {name: filled(part, ids) for name, part in value.items()}
    return names.get(value, value) if isinstance(value, str) else value


async def ask(client: httpx.AsyncClient, route: str, ids: dict[str, str]) -> httpx.Response:
    method, _, path = route.partition(" ")
    row = TABLE[route]
    noun = path.split("/")[2] if path.startswith("/v1/") else ""
    key = ids.get(noun, "default")
    path = path.replace("{key}", key)
    for name in ("user_id", "login_id"):
        path = path.replace(f"{{{name}}}", ids[name])
    url = f"{path}?{row.query}" if row.query else path
    request = client.build_request(method, url, json=filled(row.body, ids))
    answer = await client.send(request, stream=True)  # an event stream has no end to be read to
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        await answer.aclose()
    else:
        await answer.aread()
    return answer


def test_every_route_is_in_the_table_and_every_row_is_a_route():
    assert set(WALKED) == set(TABLE) | PUBLIC


@pytest.mark.parametrize("route", sorted(TABLE))
async def test_each_viewer_gets_what_the_table_says(world: World, route: str):
    anonymous = world.stack.client()
    assert (await ask(anonymous, route, world.ids)).status_code == 401
    verdicts = list(zip(VIEWERS, TABLE[route].verdicts, strict=True))
    for viewer, verdict in sorted(verdicts, key=lambda pair: pair[1] == "a"):
        client, ids = world.viewers[viewer], world.ids
        if verdict == "a" and TABLE[route].anew:
            client, ids = await world.renew(TABLE[route].anew, viewer)
        answer = await ask(client, route, ids)
        told = f"{viewer} {route}: {answer.status_code} {verdict}"
        if verdict == "a":
            assert answer.status_code not in {401, 403, 404}, told
            assert answer.status_code != 500, told
        else:
            assert answer.status_code in STATUS[verdict], told


@pytest.mark.parametrize("noun", sorted(READS))
async def test_a_list_shows_an_object_to_whoever_may_read_it(world: World, noun: str):
    key = world.ids.get(noun, "default")
    for viewer, listed, read in zip(
        VIEWERS, LISTS[f"GET /v1/{noun}"].verdicts, READS[noun].verdicts, strict=True
    ):
        if listed == "a":
            answer = await world.viewers[viewer].get(f"/v1/{noun}", params={"id": key})
            assert bool(answer.json()["items"]) == (read == "a"), f"{viewer} {noun}"
