"""Many users at once, through HTTP: at once and as a task, cancelled, cut off and gone on with."""

import asyncio

import asyncpg
import pytest

from services.gateway.api.bulk import INLINE_MAX
from services.gateway.task_table import LEASE_S
from shared.kernel.ids import new_id
from tests.gateway.integration.harness import PASSWORD, eventually
from tests.gateway.integration.people import refused, signing, unique

PATH = "/v1/users/bulk"


def rows(count, prefix, **more):
    return [
        {"email": f"{prefix}{index}@example.org", "username": f"{prefix}{index}", **more}
        for index in range(count)
    ]


async def ended(client, task_id, timeout_s=120.0):
    """Wait for the end of a task without fetching its result more than once."""

    async def ask():
        answer = await client.get(f"/v1/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return await eventually(ask, lambda task: task["status"] != "running", timeout_s)


async def test_good_rows_are_kept_and_bad_ones_say_why(stack, admin):
    name = unique()
    good, taken, weak, wrong, twice, none = rows(6, name)
    taken["email"] = "root@example.org"
    weak["password"] = "weak"
    wrong["role"] = "king"
    twice["email"] = good["email"].upper()
    body = {"users": [good, taken, weak, wrong, twice, none, 5], "generate_passwords": True}
    answer = await admin.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["created"], found["failed"]) == (2, 5)
    results = found["results"]
    assert [result["index"] for result in results] == list(range(7))
    assert [result["status"] for result in results] == [
        "created",
        *["failed"] * 4,
        "created",
        "failed",
    ]
    reasons = [[(e["field"], e["code"]) for e in r.get("errors", ())] for r in results]
    assert reasons[1:5] == [
        [("email", "email_taken")],
        [("password", "too_short")],
        [("role", "wrong_type")],
        [("email", "repeated")],
    ]
    made = results[0]
    shown = (await admin.get(f"/v1/users/{made['user_id']}")).json()
    assert shown["email"] == good["email"]
    assert shown["password_change_required"] is True
    assert shown["main_access_key"] == made["access_key"]
    assert shown["projects"]
    await stack.logged_in(good["email"], made["password"])
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == 2


async def test_a_given_password_is_not_shown_and_without_one_nobody_is_made(stack, admin):
    name = unique()
    users = [*rows(1, name, password=PASSWORD), *rows(1, unique())]
    found = (await admin.post(PATH, json={"users": users})).json()
    assert "password" not in found["results"][0]
    assert found["results"][1]["errors"][0]["field"] == "password"
    await stack.logged_in(users[0]["email"], PASSWORD)


async def test_a_table_is_as_good_as_json(admin):
    name = unique()
    project = (await admin.get("/v1/projects?name=default&domain=default")).json()["items"][0]
    text = (
        "email,username,full_name,projects,sudo_session_enabled\n"
        f'{name}1@example.org,{name}1,"One, Two",{project["id"]},true\n'
        f"{name}2@example.org,{name}2,,nowhere,false\n"
    )
    headers = {"content-type": "text/csv; charset=utf-8"}
    answer = await admin.post(f"{PATH}?generate_passwords=true", content=text, headers=headers)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["results"]
    shown = (await admin.get(f"/v1/users/{first['user_id']}")).json()
    assert (shown["full_name"], shown["sudo_session_enabled"]) == ("One, Two", True)
    assert project["id"] in shown["projects"]
    assert second["errors"][0]["field"].startswith("projects")
    wrong = await admin.post(PATH, content="email,shoe\n", headers=headers)
    assert set(refused(wrong, 400, "malformed_csv")) == {"shoe", "username"}
    refused(await admin.post(f"{PATH}?generate=1", content=text, headers=headers), 400)


async def test_the_same_key_gives_the_same_passwords(admin):
    headers, body = {"Idempotency-Key": new_id()}, {"generate_passwords": True}
    body["users"] = rows(3, unique())
    first = await admin.post(PATH, json=body, headers=headers)
    again = await admin.post(PATH, json=body, headers=headers)
    assert first.json()["created"] == 3
    assert first.content == again.content


@pytest.mark.parametrize("users", [[], [{}] * 5_001])
async def test_a_request_has_some_rows_and_not_too_many(admin, users):
    found = refused(await admin.post(PATH, json={"users": users}), 422)
    assert set(found) == {"users"}


async def test_a_long_list_is_a_task_whose_passwords_are_shown_once(stack, admin, person):
    name, headers = unique(), {"Idempotency-Key": new_id()}
    body = {"users": rows(INLINE_MAX + 20, name), "generate_passwords": True}
    body["users"][7]["role"] = "king"
    answer = await admin.post(PATH, json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    task_id = answer.json()["task_id"]
    again = await admin.post(PATH, json=body, headers=headers)
    assert again.json() == {"task_id": task_id}
    other = {"users": body["users"][1:], "generate_passwords": True}
    refused(await admin.post(PATH, json=other, headers=headers), 422, "idempotency_mismatch")
    _, stranger = person
    refused(await stranger.get(f"/v1/tasks/{task_id}"), 404, "task_not_found")
    refused(await stranger.post(f"/v1/tasks/{task_id}/cancel"), 404, "task_not_found")
    task = await ended(admin, task_id)
    assert task["status"] == "done", task
    assert task["progress"] == {"done": 120, "total": 120, "unit": "users"}
    result = task["result"]
    assert (result["created"], result["failed"]) == (119, 1)
    assert [row["index"] for row in result["results"]] == list(range(120))
    assert result["results"][7]["errors"][0]["field"] == "role"
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == 119
    row = result["results"][100]
    await stack.logged_in(row["email"], row["password"])
    later = (await admin.get(f"/v1/tasks/{task_id}")).json()["result"]
    assert later["created"] == 119
    assert not any("password" in row or row["email"] for row in later["results"])
    refused(await admin.post(f"/v1/tasks/{task_id}/cancel"), 409, "task_over")


async def test_a_cancelled_task_says_how_far_it_came(admin):
    name = unique()
    body = {"users": rows(1_000, name), "generate_passwords": True}
    task_id = (await admin.post(PATH, json=body)).json()["task_id"]
    answer = await admin.post(f"/v1/tasks/{task_id}/cancel")
    assert answer.status_code == 200, answer.text
    task = await ended(admin, task_id)
    assert task["status"] == "cancelled"
    made = task["progress"]["done"]
    assert made < 1_000
    assert task["result"]["created"] == made
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == made


async def test_what_can_be_seen_soon_anyway_is_not_cancelled(admin):
    refused(await admin.post("/v1/tasks/1.AAAA/cancel"), 404, "task_not_found")
    refused(await admin.post(f"/v1/tasks/{new_id()}/cancel"), 404, "task_not_found")


async def test_remembered_answers_about_a_person_are_erased_too(stack, admin):
    headers = {"Idempotency-Key": new_id()}
    name = unique()
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    user = (await admin.post("/v1/users", json=body, headers=headers)).json()
    path = f"/v1/users/{user['id']}"
    await admin.patch(path, json={"full_name": "Kim"}, headers={"Idempotency-Key": new_id()})
    tables = await asyncpg.connect(stack.urls["gateway"])

    async def remembered():
        sql = "select count(*) from idempotent_answers where about @> array[$1::text]"
        return await tables.fetchval(sql, user["id"])

    assert await remembered() == 2
    await admin.post(f"{path}/deactivate")
    assert (await admin.post(f"{path}/erase")).status_code == 200
    await eventually(remembered, lambda count: count == 0)
    await tables.close()


async def test_whoever_may_not_begin_a_task_any_more_does_not_see_it_go_on(stack, admin):
    chief, client = await signing(stack, admin, role="superadmin")
    body = {"users": rows(1_000, unique()), "generate_passwords": True}
    task_id = (await client.post(PATH, json=body)).json()["task_id"]
    answer = await admin.patch(f"/v1/users/{chief['id']}", json={"role": "user"})
    assert answer.status_code == 200, answer.text
    task = await ended(client, task_id)
    assert (task["status"], task["error"]) == ("failed", "not_permitted")
    assert task["result"]["created"] == task["progress"]["done"] < 1_000


async def test_a_task_goes_on_after_its_gateway_was_killed(stack, admin):
    name = unique()
    body = {"users": rows(400, name), "generate_passwords": True}
    task_id = (await admin.post(PATH, json=body)).json()["task_id"]

    async def task_now():
        return (await admin.get(f"/v1/tasks/{task_id}")).json()

    task = await eventually(task_now, lambda task: task["progress"]["done"] > 0)
    assert task["status"] == "running"
    await stack.services["gateway"].kill()
    await stack.services["users"].stop()  # and then nobody is there to create users for a while
    await stack.restart("gateway")
    await eventually(task_now, lambda task: "Waiting" in task["message"], LEASE_S * 6)
    await stack.restart("users")
    task = await ended(admin, task_id)
    assert task["status"] == "done"
    result = task["result"]
    assert (result["created"], result["failed"]) == (400, 0)
    assert len({row["user_id"] for row in result["results"]}) == 400
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == 400
    some = [result["results"][index] for index in (0, 200, 399)]
    await asyncio.gather(*(stack.logged_in(row["email"], row["password"]) for row in some))
