"""Lists as CSV files, from a real database, as every role gets them."""

import csv
import io

import asyncpg
import httpx
import pytest

from services.gateway.exports.reading import BATCH, OF_ONE
from services.gateway.projections.people import USERS
from shared.projections.projection import Tables
from tests.benchmarks.crowd import person as imagined
from tests.gateway.integration.harness import PASSWORD, eventually
from tests.gateway.integration.people import domain, made, project, refused, signing, unique

MANY = 3_000
LONG = 8_000  # characters: more in all than what is on the way can hold


def path(noun):
    return f"/v1/exports/{noun}.csv"


async def table(client, noun, query=""):
    """Return an export's rows by column, after looking at its head."""
    answer = await client.get(f"{path(noun)}?{query}" if query else path(noun))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


async def test_users_are_exported_as_the_list_shows_them(admin):
    lab = (await domain(admin))["name"]
    names = [unique(prefix) for prefix in ("b", "a", "c")]
    for name in names:
        await made(admin, username=name, domain=lab, projects=[], description='says "hi", twice')
    query = f"domain={lab}&sort=-username"
    listed = (await admin.get(f"/v1/users?{query}")).json()["items"]
    rows = await table(admin, "users", query)
    assert [row["username"] for row in rows] == sorted(names, reverse=True)
    for row, user in zip(rows, listed, strict=True):
        assert row["description"] == user["description"]
        assert row["created_at"] == user["created_at"]
        assert row["totp_enabled"] == "false"
        assert row["last_login_at"] == ""


async def test_columns_come_in_the_order_in_which_they_are_named(admin):
    user = await made(admin)
    answer = await admin.get(f"{path('users')}?columns=id,status,email&id={user['id']}")
    assert answer.text == f"id,status,email\r\n{user['id']},active,{user['email']}\r\n"
    assert (await admin.get(f"{path('users')}?columns=id&id=none")).text == "id\r\n"


async def test_a_formula_in_a_name_is_only_text(admin):
    user = await made(admin, full_name="=1+1", description="-2, +3")
    rows = await table(admin, "users", f"columns=full_name,description&id={user['id']}")
    assert rows == [{"full_name": "'=1+1", "description": "'-2, +3"}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("columns=id,nope", "columns"),
        ("filename=a/b", "filename"),
        (f"filename={'x' * 256}", "filename"),
        ("limit=5", "limit"),
        ("colour=red", "colour"),
        ("status=asleep", "status"),
        ("sort=nope", "sort"),
    ],
)
async def test_what_an_export_does_not_know_is_refused_by_name(admin, query, field):
    assert field in refused(await admin.get(f"{path('users')}?{query}"), 400, "malformed_query")


async def test_the_file_is_called_as_was_asked_and_kept_by_nobody_on_the_way(admin):
    answer = await admin.get(f"{path('user-policies')}?filename=정책")
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''%EC%A0%95%EC%B1%85.csv")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_everybody_gets_what_they_see_and_no_more(stack, admin):
    home, elsewhere = (await domain(admin))["name"], (await domain(admin))["name"]
    boss, as_boss = await signing(stack, admin, domain=home, projects=[], role="admin")
    plain, as_plain = await signing(stack, admin, domain=home, projects=[])
    other = await made(admin, domain=elsewhere, projects=[])
    assert {row["id"] for row in await table(as_boss, "users")} == {boss["id"], plain["id"]}
    assert {row["id"] for row in await table(as_plain, "users")} == {plain["id"]}
    keys = {row["access_key"]: row for row in await table(as_boss, "keypairs")}
    assert set(keys) == {boss["main_access_key"], plain["main_access_key"]}
    assert keys[boss["main_access_key"]]["user_email"] == boss["email"]
    assert int(keys[boss["main_access_key"]]["requests_in_window"]) > 0
    assert other["main_access_key"] in {r["access_key"] for r in await table(admin, "keypairs")}
    refused(await as_boss.get(path("events")), 403)
    refused(await as_boss.get(path("project-policies")), 403)
    assert "secret" not in (await as_boss.get(path("keypairs"))).text


async def test_policies_have_a_column_for_each_slot(admin):
    rows = await table(admin, "keypair-policies", "name=default")
    assert {"total_resource_slots.cpu", "total_resource_slots.mem", "max_priority"} <= set(rows[0])
    assert rows[0]["is_default"] == "true"
    assert (await table(admin, "project-policies"))[0]["max_network_count"]


async def test_what_was_at_a_moment_is_exported_too(admin):
    user = await made(admin, full_name="Before")
    at = user["modified_at"]
    await admin.patch(f"/v1/users/{user['id']}", json={"full_name": "After"})
    query = f"id={user['id']}&columns=full_name"
    assert await table(admin, "users", query) == [{"full_name": "After"}]
    assert await table(admin, "users", f"{query}&at={at}") == [{"full_name": "Before"}]
    refused(await admin.get(f"{path('sessions')}?at={at}"), 400)


async def test_a_policy_is_exported_as_it_was_at_a_moment(admin):
    name = unique("p")
    at = (await admin.post("/v1/keypair-policies", json={"name": name})).json()["modified_at"]
    change = {"total_resource_slots": {"cpu": 4}}
    assert (await admin.patch(f"/v1/keypair-policies/{name}", json=change)).status_code == 200
    query = f"name={name}&columns=total_resource_slots.cpu,max_priority"
    now, then = [await table(admin, "keypair-policies", q) for q in (query, f"{query}&at={at}")]
    assert now == [{"total_resource_slots.cpu": "4", "max_priority": "unlimited"}]
    assert then == [{"total_resource_slots.cpu": "", "max_priority": "unlimited"}]
    assert (await admin.delete(f"/v1/keypair-policies/{name}")).status_code == 204
    assert await table(admin, "keypair-policies", query) == []
    assert await table(admin, "keypair-policies", f"{query}&at={at}") == then


async def test_sessions_are_exported_with_what_they_ask_for_and_whose_they_are(
    stack, admin, agent, person
):
    owner, client = person
    group = await project(admin)
    await admin.put(f"/v1/projects/{group['id']}/members/{owner['id']}", json={"role": "member"})
    body = {
        "name": unique("s"),
        "type": "batch",
        "image": "local/host:latest",
        "command": "true",
        "resources": {"cpu": 1, "mem": "1g"},
        "project": group["id"],
    }

    async def submitted():
        await stack.beat(agent)
        return await client.post("/v1/sessions", json=body)

    session = (await eventually(submitted, lambda answer: answer.status_code == 201)).json()
    rows = await table(client, "sessions", f"name={body['name']}")
    assert [row["id"] for row in rows] == [session["id"]]
    assert rows[0]["requested.cpu"] == "1"
    assert rows[0]["requested.mem"] == str(2**30)
    assert rows[0]["user_email"] == owner["email"]
    await admin.delete(f"/v1/sessions/{session['id']}?forced=true")
    found = (await client.get(f"/v1/sessions/{session['id']}")).json()
    if found["agents"]:
        await stack.end(found)


async def test_the_audit_log_is_exported_whole_and_narrowed(admin):
    user = await made(admin)
    for number in range(3):
        await admin.patch(f"/v1/users/{user['id']}", json={"full_name": f"Name {number}"})
    query = f"id={user['id']}&type=UserProfileChanged"
    listed = (await admin.get(f"/v1/events?{query}")).json()["items"]
    rows = await table(admin, "events", query)
    assert [row["position"] for row in rows] == [str(item["position"]) for item in listed]
    assert "Name 2" in rows[0]["changes"]
    assert rows[0]["actor.kind"] == "user"
    total = (await admin.get("/v1/events?limit=1")).json()["total"]
    whole = await table(admin, "events", "columns=service,position")
    assert len({(row["service"], row["position"]) for row in whole}) == len(whole) >= total


@pytest.fixture(scope="module")
async def crowd(stack):
    """Many users in the read model, so that an export takes a while."""
    database = await asyncpg.connect(stack.urls["gateway"])
    generation = await database.fetchval(
        "select generation from projection_generations"
        " where projection = 'users' and state = 'live'"
    )
    name = Tables(("users",), generation)("users")
    people = [imagined(number) for number in range(MANY)]
    for user in people:
        user.domain = "crowd"
        user.projects = ["x" * LONG]
    texts = [(user.id, USERS.encode(user)) for user in people]
    now = people[0].created_at
    more = {"valid_from": [now] * MANY}
    await USERS.insert(database, name, texts, people, is_searched=True, **more)
    yield database
    await database.execute(f"delete from {name} where domain = 'crowd'")
    await database.close()


async def cursors(database):
    """Return how many exports hold a connection of the database."""
    return await database.fetchval(
        "select count(*) from pg_stat_activity"
        " where application_name = 'gateway-exports' and state like 'idle in transaction%'"
    )


class Opened:
    """An export of which no more is taken than its beginning, until the rest is asked for."""

    def __init__(self, answer):
        self.answer = answer
        self.pieces = answer.aiter_raw(1024)

    async def rest(self):
        async for _ in self.pieces:
            pass

    async def close(self):
        await self.pieces.aclose()
        await self.answer.aclose()


async def open_export(client):
    request = client.build_request("GET", f"{path('users')}?domain=crowd")
    opened = Opened(await client.send(request, stream=True))
    assert opened.answer.status_code == 200
    assert await anext(opened.pieces)
    return opened


async def test_a_long_list_is_exported_to_its_last_row_in_its_order(admin, crowd):
    rows = await table(admin, "users", "domain=crowd&sort=-email&columns=email")
    emails = [row["email"] for row in rows]
    assert len(emails) == MANY > BATCH
    expected = await crowd.fetch("select email from users where domain = 'crowd' order by 1 desc")
    assert emails == [row[0] for row in expected]


async def test_whoever_hangs_up_leaves_no_cursor_behind(admin, crowd):
    opened = await open_export(admin)
    assert await eventually(lambda: cursors(crowd), lambda count: count == 1)
    await opened.close()
    assert await eventually(lambda: cursors(crowd), lambda count: count == 0) == 0


async def test_exports_that_nobody_takes_leave_room_for_everybody_else(stack, admin, crowd):
    client = await stack.logged_in((await made(admin, role="superadmin"))["email"], PASSWORD)
    opened = [await open_export(client) for _ in range(OF_ONE)]
    late = await client.get(path("users"))
    refused(late, 429, "too_many_exports")
    assert late.headers["retry-after"]
    for _ in range(20):
        assert (await client.get("/v1/users?limit=1")).status_code == 200
    assert (await admin.get(f"{path('users')}?id=x")).status_code == 200
    for each in opened:
        await each.close()
    await eventually(lambda: client.get(f"{path('users')}?id=x"), lambda a: a.status_code == 200)


async def test_an_export_breaks_off_when_its_log_in_ends(stack, admin, crowd):
    boss = await made(admin, role="superadmin")
    opened = await open_export(await stack.logged_in(boss["email"], PASSWORD))
    assert (await admin.post(f"/v1/users/{boss['id']}/deactivate")).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        await opened.rest()
    await opened.close()


async def test_an_export_whose_database_goes_away_has_no_end_that_looks_like_one(admin, crowd):
    opened = await open_export(admin)
    await eventually(lambda: cursors(crowd), lambda count: count == 1)
    await crowd.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'gateway-exports'"
    )
    with pytest.raises(httpx.RemoteProtocolError):
        await opened.rest()
    await opened.close()
    assert (await admin.get(f"{path('users')}?id=x")).status_code == 200
