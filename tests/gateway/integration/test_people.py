import asyncio

import pytest

from shared.kernel.ids import is_id, new_id
from tests.gateway.integration.harness import ADMIN, PASSWORD, eventually


def body(name, **more):
    return {
        "email": f"{name}@example.org",
        "username": name,
        "password": PASSWORD,
        "full_name": f"Person {name}",
        **more,
    }


def unique():
    return f"n{new_id()[-12:]}"


async def test_a_created_user_is_shown_at_once_with_the_first_keypair(admin):
    name = unique()
    answer = await admin.post("/v1/users", json=body(name, description="of the lab"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert is_id(made["id"])
    assert made["keypair"] == {
        "access_key": made["main_access_key"],
        "secret_key": made["secret_key"],
    }
    assert made["created_at"].endswith("Z")
    listed = (await admin.get(f"/v1/users?email={name}")).json()
    assert listed["total"] == 1
    shown = (await admin.get(f"/v1/users/{made['id']}")).json()
    assert listed["items"] == [shown]
    assert "secret_key" not in shown
    assert "keypair" not in shown
    assert shown["description"] == "of the lab"
    assert len(shown["projects"]) >= 1
    keypair = (await admin.get(f"/v1/keypairs/{made['main_access_key']}")).json()
    assert keypair["user_id"] == made["id"]
    assert keypair["is_main"] is True
    assert "secret_key" not in keypair


async def test_the_new_keypair_signs_and_its_use_is_shown(stack, admin, person):
    made, client = person
    me = await client.get("/v1/users/me")
    assert me.json()["id"] == made["id"]
    keypair = (await admin.get(f"/v1/keypairs/{made['main_access_key']}")).json()
    assert keypair["requests_in_window"] == 1
    assert keypair["last_used_at"] is not None


async def test_a_clash_is_a_conflict_that_names_the_field(admin, person):
    made, _ = person
    answer = await admin.post("/v1/users", json=body(unique(), email=made["email"].upper()))
    assert answer.status_code == 409
    assert answer.json()["code"] == "email_taken"
    answer = await admin.post("/v1/users", json=body(unique(), username=made["username"]))
    assert answer.status_code == 409
    assert answer.json()["code"] == "username_taken"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "short1!"}, "password"),
        ({"password": "nodigits!"}, "password"),
        ({"email": "not-an-address"}, "email"),
        ({"username": ""}, "username"),
        ({"full_name": "x" * 65}, "full_name"),
        ({"domain": "nowhere"}, "domain"),
        ({"resource_policy": "nothing"}, "resource_policy"),
        ({"projects": ["019f0000-0000-7000-8000-000000000000"]}, "projects"),
    ],
)
async def test_a_broken_rule_is_422_with_the_field(admin, changes, field):
    answer = await admin.post("/v1/users", json={**body(unique()), **changes})
    assert answer.status_code == 422, answer.text
    assert [error["field"].split(".")[0] for error in answer.json()["errors"]] == [field]


async def test_the_same_key_returns_the_first_answer_to_the_byte(admin):
    name, headers = unique(), {"Idempotency-Key": new_id()}
    first = await admin.post("/v1/users", json=body(name), headers=headers)
    again = await admin.post("/v1/users", json=body(name), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == 1
    other = await admin.post("/v1/users", json=body(unique()), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_keys_of_different_callers_do_not_meet(stack, admin, person):
    _, client = person
    headers = {"Idempotency-Key": new_id()}
    first = await admin.post("/v1/users", json=body(unique()), headers=headers)
    assert first.status_code == 201
    second = await client.post("/v1/users", json=body(unique()), headers=headers)
    assert second.status_code == 403


async def test_ten_at_once_under_one_key_make_one_user(admin):
    name, headers = unique(), {"Idempotency-Key": new_id()}

    async def create():
        return await admin.post("/v1/users", json=body(name), headers=headers)

    answers = await asyncio.gather(
        # whoever is told that the machine is busy asks again under the same key
        *(eventually(create, lambda answer: answer.status_code != 503) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} == {201}, [one.text for one in answers]
    assert len({answer.content for answer in answers}) == 1
    assert (await admin.get(f"/v1/users?email={name}")).json()["total"] == 1


async def test_a_plain_user_sees_only_the_own_person_and_keys(stack, admin, person):
    _, client = person
    assert (await client.get("/v1/users")).json()["total"] == 1
    assert (await client.get("/v1/keypairs")).json()["total"] == 1
    root = (await admin.get(f"/v1/users?email={ADMIN['email']}")).json()["items"][0]
    answer = await client.get(f"/v1/users/{root['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")
    assert (await client.get(f"/v1/keypairs/{ADMIN['access_key']}")).status_code == 404
    assert (await client.get("/v1/agents")).status_code == 403
    assert (await client.get("/v1/user-policies")).status_code == 403
    assert (await client.get("/v1/keypair-policies")).json()["total"] == 1


async def test_pages_follow_each_other_without_gap_or_repetition(admin):
    names = {unique() for _ in range(7)}
    for name in names:
        await admin.post("/v1/users", json=body(name, full_name="Pager"))
    for sort in ("username", "-created_at", "-full_name,email"):
        seen, cursor = [], ""
        while cursor is not None:
            address = f"/v1/users?full_name=Pager&limit=3&sort={sort}"
            page = (await admin.get(address + (f"&cursor={cursor}" if cursor else ""))).json()
            assert page["total"] == 7
            seen += [item["username"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert len(seen) == 7
        assert set(seen) == names
        by_offset = []
        for offset in (0, 3, 6):
            address = f"/v1/users?full_name=pager&limit=3&sort={sort}&offset={offset}"
            by_offset += [i["username"] for i in (await admin.get(address)).json()["items"]]
        assert by_offset == seen


async def test_text_filters_take_wildcards_as_they_are(admin):
    name = unique()
    await admin.post("/v1/users", json=body(name, full_name="100%_sure"))
    assert (await admin.get("/v1/users?full_name=0%25_s")).json()["total"] == 1
    assert (await admin.get("/v1/users?full_name=1__%25")).json()["total"] == 0


async def test_the_first_start_left_the_defaults(admin):
    for path, names in {
        "/v1/domains": {"default"},
        "/v1/projects": {"default", "model-store"},
        "/v1/keypair-policies": {"default"},
        "/v1/user-policies": {"default"},
        "/v1/project-policies": {"default"},
        "/v1/presets": {"small", "medium", "large"},
        "/v1/resource-groups": {"default"},
    }.items():
        found = (await admin.get(path)).json()
        assert {item["name"] for item in found["items"]} >= names, path
        for item in found["items"]:
            assert (await admin.get(f"{path}/{item['id']}")).json() == item
