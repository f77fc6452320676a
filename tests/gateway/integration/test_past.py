"""`?at=`: the state of users and keypairs as of a moment, through HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.timeout(240)


async def read(client, path, at):
    return await client.get(path, params={"at": at})


async def test_a_user_is_shown_as_of_then_and_not_before_the_creation(admin, person):
    made, signed = person
    path = f"/v1/users/{made['id']}"
    now = (await admin.get(path)).json()
    shown = await read(admin, path, now["modified_at"])
    assert shown.json() == now
    created = datetime.fromisoformat(made["created_at"])
    earlier = (created - timedelta(microseconds=1)).isoformat()
    assert (await read(admin, path, earlier)).status_code == 404
    before = (await read(admin, "/v1/users?limit=500", earlier)).json()
    assert made["id"] not in {item["id"] for item in before["items"]}
    after = (await read(admin, "/v1/users?limit=500", made["created_at"])).json()
    assert after["total"] == before["total"] + 1
    key = await read(signed, f"/v1/keypairs/{made['main_access_key']}", made["created_at"])
    assert key.json()["is_main"] is True
    assert key.json()["requests_in_window"] is None


async def test_what_is_out_of_sight_now_was_so_then(person):
    made, signed = person
    mine = (await read(signed, "/v1/users", made["created_at"])).json()
    assert [item["id"] for item in mine["items"]] == [made["id"]]


@pytest.mark.parametrize("path", ["/v1/users", "/v1/keypairs", "/v1/users/{}"])
async def test_a_moment_that_is_no_time_or_to_come_is_refused_by_name(admin, person, path):
    where = path.format(person[0]["id"])
    tomorrow = (datetime.now(tz=UTC) + timedelta(days=1)).isoformat()
    for at, code in (
        (tomorrow, "in_the_future"),
        ("yesterday", "not_a_time"),
        ("2026-02-30T00:00:00Z", "not_a_time"),
        ("2026-01-01T00:00:00", "not_a_time"),
        ("0001-01-01T00:00:00+23:59", "not_a_time"),
        ("", "not_a_time"),
    ):
        answer = await read(admin, where, at)
        assert answer.status_code == 400, at
        assert [(item["field"], item["code"]) for item in answer.json()["errors"]] == [("at", code)]
    twice = await admin.get(f"{where}?at=2026-01-01T00:00:00Z&at=2026-01-01T00:00:00Z")
    assert twice.status_code == 400


async def test_where_no_past_is_kept_it_says_so(admin, agent):
    for path in ("/v1/agents", "/v1/sessions", f"/v1/agents/{agent}", "/v1/domains/default"):
        answer = await read(admin, path, "2026-01-01T00:00:00Z")
        assert answer.status_code == 400, path
        assert answer.json()["errors"][0]["code"] == "no_history"
    assert (await read(admin, "/v1/users/me", "2026-01-01T00:00:00Z")).status_code == 400
