"""What people change of themselves through HTTP: names, password, one-time passwords."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest_asyncio

from shared.kernel.ids import new_id
from shared.security.totp import code_at, parse_seed, step_at
from tests.gateway.integration.harness import PASSWORD
from tests.gateway.integration.people import made, refused, unique

NEW = "another-Passw0rd"


@pytest_asyncio.fixture(loop_scope="session")
async def somebody(stack, admin):
    user = await made(admin)
    return user, await stack.logged_in(user["email"], PASSWORD)


async def test_one_changes_ones_own_names_and_no_more(somebody):
    user, client = somebody
    patch = {"username": unique(), "full_name": "Kim", "description": None}
    answer = await client.patch("/v1/users/me", json=patch)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["full_name"], answer.json()["description"]) == ("Kim", "")
    assert (await client.get("/v1/users/me")).json() == answer.json()
    found = refused(
        await client.patch("/v1/users/me", json={"role": "superadmin", "status": "active"}), 422
    )
    assert found == {"role": "read_only", "status": "read_only"}
    assert answer.json()["id"] == user["id"]


async def test_a_new_password_needs_the_old_one_and_ends_the_other_log_ins(stack, somebody):
    user, client = somebody
    other = await stack.logged_in(user["email"], PASSWORD)
    wrong = {"old": "wrong-Passw0rd", "new": NEW}
    refused(await client.post("/v1/users/me/password", json=wrong), 422)
    weak = refused(
        await client.post("/v1/users/me/password", json={"old": PASSWORD, "new": "weak"}), 422
    )
    assert set(weak) == {"new"}
    assert (await other.get("/v1/users/me")).status_code == 200
    answer = await client.post("/v1/users/me/password", json={"old": PASSWORD, "new": NEW})
    assert answer.status_code == 200, answer.text
    assert NEW not in answer.text
    assert (await client.get("/v1/users/me")).status_code == 200
    refused(await other.get("/v1/users/me"), 401)
    await stack.logged_in(user["email"], NEW)


async def test_ones_own_new_password_ends_the_demand_for_one(stack, admin):
    user = await made(admin, password_change_required=True)
    client = await stack.logged_in(user["email"], PASSWORD)
    body = {"old": PASSWORD, "new": NEW}
    answer = await client.post("/v1/users/me/password", json=body)
    assert answer.json()["password_change_required"] is False


async def test_one_time_passwords_from_the_picture_to_the_log_in_and_off_again(
    stack, admin, somebody
):
    user, client = somebody
    answer = await client.post("/v1/users/me/totp")
    assert answer.status_code == 200, answer.text
    drawn = answer.json()
    assert set(drawn) == {"secret", "uri", "qr_svg"}
    assert drawn["qr_svg"].startswith("<svg ")
    parts = urlsplit(drawn["uri"])
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query)["secret"] == [drawn["secret"]]
    assert (await client.get("/v1/users/me")).json()["totp_enabled"] is False
    seed, step = parse_seed(drawn["secret"]), step_at(datetime.now(tz=UTC))
    path = "/v1/users/me/totp/confirm"
    wrong = f"{(int(code_at(seed, step)) + 1) % 10**6:06d}"
    if wrong not in {code_at(seed, step + offset) for offset in (-1, 0, 1)}:
        assert 400 <= (await client.post(path, json={"code": wrong})).status_code < 500
    answer = await client.post(path, json={"code": code_at(seed, step)})
    assert (answer.status_code, answer.json()["totp_enabled"]) == (200, True)
    login = {"email": user["email"], "password": PASSWORD}
    refused(await stack.client().post("/v1/auth/login", json=login), 401, "otp_required")
    used = {**login, "otp": code_at(seed, step)}
    refused(await stack.client().post("/v1/auth/login", json=used), 401, "otp_invalid")
    fresh = {**login, "otp": code_at(seed, step + 1)}
    assert (await stack.client().post("/v1/auth/login", json=fresh)).status_code == 200
    answer = await client.request("DELETE", "/v1/users/me/totp", json={"code": "x"})
    assert 400 <= answer.status_code < 500
    answer = await admin.patch(f"/v1/users/{user['id']}", json={"totp_enabled": False})
    assert (answer.status_code, answer.json()["totp_enabled"]) == (200, False)
    assert (await stack.client().post("/v1/auth/login", json=login)).status_code == 200


async def test_one_switches_ones_own_one_time_passwords_off(somebody):
    _, client = somebody
    seed = parse_seed((await client.post("/v1/users/me/totp")).json()["secret"])
    step = step_at(datetime.now(tz=UTC))
    code = {"code": code_at(seed, step)}
    assert (await client.post("/v1/users/me/totp/confirm", json=code)).status_code == 200
    code = {"code": code_at(seed, step + 1)}
    answer = await client.request("DELETE", "/v1/users/me/totp", json=code)
    assert answer.status_code == 204, answer.text
    assert (await client.get("/v1/users/me")).json()["totp_enabled"] is False


async def test_the_same_key_draws_the_same_seed(somebody):
    _, client = somebody
    headers = {"Idempotency-Key": new_id()}
    first = await client.post("/v1/users/me/totp", headers=headers)
    again = await client.post("/v1/users/me/totp", headers=headers)
    assert first.content == again.content
