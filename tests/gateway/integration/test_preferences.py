"""What a person has chosen is kept for that person, within bounds, until they are erased."""

import asyncio

import asyncpg
import pytest

from services.gateway.preferences import NAMES_MAX, VALUE_BYTES_MAX
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.people import refused, signing

PATH = "/v1/users/me/preferences"


async def test_what_is_put_is_what_one_gets_and_nobody_else(stack, admin):
    _, ada = await signing(stack, admin)
    _, bea = await signing(stack, admin)
    chosen = {"columns": ["email", "status"], "width": 2.5, "none": None}
    answer = await ada.put(f"{PATH}/users.columns", json=chosen)
    assert (answer.status_code, answer.json()) == (200, chosen)
    assert (await ada.get(f"{PATH}/users.columns")).json() == chosen
    refused(await bea.get(f"{PATH}/users.columns"), 404)
    await ada.put(f"{PATH}/users.columns", json=[])
    await ada.put(f"{PATH}/theme", json="dark")
    assert (await ada.get(PATH)).json() == {"theme": "dark", "users.columns": []}
    assert (await bea.get(PATH)).json() == {}
    assert (await ada.delete(f"{PATH}/theme")).status_code == 204
    refused(await ada.delete(f"{PATH}/theme"), 404)
    assert (await ada.get(PATH)).json() == {"users.columns": []}


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, ".hidden", "a%2Fb", "a%00"])
async def test_a_name_is_short_and_plain(stack, admin, person, name):
    _, client = person
    answer = await client.put(f"{PATH}/{name}", json=1)
    assert answer.status_code in {400, 404, 405}, answer.text


async def test_what_is_too_large_or_is_not_json_is_refused_and_changes_nothing(person):
    _, client = person
    await client.put(f"{PATH}/it", json="first")
    fits = '"' + "x" * (VALUE_BYTES_MAX - 2) + '"'
    head = {"content-type": "application/json"}
    refused(await client.put(f"{PATH}/it", content=fits[:-1] + 'x"', headers=head), 413)
    for text in ("", "nonsense", "[" * 5_000, '"\\u0000"'):
        refused(await client.put(f"{PATH}/it", content=text, headers=head), 400)
    assert (await client.get(f"{PATH}/it")).json() == "first"
    assert (await client.put(f"{PATH}/it", content=fits, headers=head)).status_code == 200
    assert (await client.get(f"{PATH}/it")).text == fits


async def test_there_are_at_most_a_hundred_however_many_come_at_once(person):
    _, client = person
    names = [f"n{number}" for number in range(NAMES_MAX + 20)]
    answers = await asyncio.gather(*(client.put(f"{PATH}/{name}", json=1) for name in names))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (NAMES_MAX, 20)
    kept = (await client.get(PATH)).json()
    assert len(kept) == NAMES_MAX
    assert (await client.put(f"{PATH}/{next(iter(kept))}", json=2)).status_code == 200
    refused(await client.put(f"{PATH}/more", json=1), 409, "too_many_preferences")
    await client.delete(f"{PATH}/{next(iter(kept))}")
    assert (await client.put(f"{PATH}/more", json=1)).status_code == 200


async def test_erasing_a_person_erases_what_they_chose(stack, admin):
    user, client = await signing(stack, admin)
    await client.put(f"{PATH}/users.columns", json=["email"])
    await admin.post(f"/v1/users/{user['id']}/deactivate")
    assert (await admin.post(f"/v1/users/{user['id']}/erase")).status_code == 200
    database = await asyncpg.connect(stack.urls["gateway"])

    async def kept():
        return await database.fetchval(
            "select count(*) from preferences where user_id = $1", user["id"]
        )

    assert await eventually(kept, lambda count: count == 0) == 0
    await database.close()
