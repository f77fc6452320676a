import pytest

from shared.security.tokens import new_token
from tests.gateway.integration.harness import ADMIN, PASSWORD, Signature

CREDENTIALS = {"email": ADMIN["email"], "password": ADMIN["password"]}


def code(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, answer.json()["code"]


async def test_logging_in_answers_a_token_that_works_and_a_cookie(stack):
    client = stack.client()
    answer = await client.post("/v1/auth/login", json=CREDENTIALS)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"token", "expires_at", "user", "password_change_required"}
    assert body["user"]["email"] == ADMIN["email"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Strict" in answer.headers["set-cookie"]
    by_cookie = await client.get("/v1/auth/me")
    assert by_cookie.json()["authenticated_by"] == "cookie"
    client.cookies.clear()
    me = await client.get("/v1/auth/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert me.status_code == 200
    assert me.json()["role"] == "superadmin"
    assert "users.create" in me.json()["capabilities"]
    assert me.json()["user"]["id"] == body["user"]["id"]


@pytest.mark.parametrize(
    "body",
    [
        {**CREDENTIALS, "password": "wrong-Passw0rd"},
        {**CREDENTIALS, "email": "nobody@example.org"},
    ],
)
async def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(stack, body):
    answer = await stack.client().post("/v1/auth/login", json=body)
    assert code(answer) == (401, "invalid_credentials")


async def test_a_token_ends_with_the_log_out(stack):
    client = await stack.logged_in()
    assert (await client.get("/v1/auth/me")).status_code == 200
    assert (await client.post("/v1/auth/logout")).status_code == 204
    assert code(await client.get("/v1/auth/me")) == (401, "token_invalid")


async def test_one_sees_and_revokes_ones_own_log_ins_only(stack, person):
    made, _ = person
    first = await stack.logged_in(made["email"], PASSWORD)
    second = await stack.logged_in(made["email"], PASSWORD)
    listed = (await second.get("/v1/auth/sessions?is_over=false")).json()
    assert listed["total"] == 2
    assert "token" not in str(listed)
    oldest = listed["items"][-1]["id"]
    admin = await stack.logged_in()
    assert code(await admin.delete(f"/v1/auth/sessions/{oldest}"))[0] == 404
    assert (await second.delete(f"/v1/auth/sessions/{oldest}")).status_code == 204
    assert code(await first.get("/v1/auth/me")) == (401, "token_invalid")
    assert (await second.get("/v1/auth/me")).status_code == 200


async def test_a_signed_request_is_answered_with_what_is_left_of_its_window(person):
    made, client = person
    answer = await client.get("/v1/users?limit=20&sort=email")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ratelimit-window"] == "900"
    again = await client.get("/v1/users?limit=20&sort=email")
    left = [int(found.headers["x-ratelimit-remaining"]) for found in (answer, again)]
    assert left[0] - left[1] == 1
    assert (await client.get("/v1/auth/me")).json()["access_key"] == made["main_access_key"]


async def test_a_signed_write_is_bound_to_its_body(stack):
    client = stack.signed()
    name = {"email": "signed@example.org", "username": "signed", "password": PASSWORD}
    assert (await client.post("/v1/users", json=name)).status_code == 201
    first = {**name, "username": "other", "email": "other@example.org"}
    request = client.build_request("POST", "/v1/users", json=first)
    next(Signature(ADMIN["access_key"], ADMIN["secret_key"]).auth_flow(request))
    kept = {"signature", "signature-input", "content-digest", "content-type", "host"}
    headers = {name: value for name, value in request.headers.items() if name in kept}
    tampered = {**first, "role": "superadmin"}
    answer = await stack.client().post("/v1/users", json=tampered, headers=headers)
    assert code(answer) == (401, "digest_mismatch")
    assert (await client.get("/v1/users?username=other")).json()["total"] == 0


async def test_a_replay_is_refused(stack):
    client = stack.client()
    request = client.build_request("GET", "/v1/users")
    next(Signature(ADMIN["access_key"], ADMIN["secret_key"]).auth_flow(request))
    assert (await client.send(request)).status_code == 200
    assert code(await client.send(request)) == (401, "signature_replayed")


async def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer(stack):
    unknown = await stack.signed("AKIANOBODYNOBODYNOBO", "x" * 40).get("/v1/users")
    wrong = await stack.signed(secret_key="x" * 40).get("/v1/users")
    assert code(unknown) == code(wrong) == (401, "signature_invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {new_token()}"},
        {"Authorization": ""},
        {"Signature": "x", "Signature-Input": "y"},
        {"Signature": "qm=:AAAA:"},
        {"Cookie": "qm_session=nonsense"},
        {"Cookie": 'qm_session="; x'},
        {},
    ],
)
async def test_what_proves_nothing_is_401_with_a_reason(stack, headers):
    status, _ = code(await stack.client().get("/v1/users", headers=headers))
    assert status == 401


async def test_the_cookie_alone_changes_nothing_from_another_site(stack):
    client = stack.client()
    await client.post("/v1/auth/login", json=CREDENTIALS)
    body = {"email": "x@example.org", "username": "x", "password": PASSWORD}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
    ):
        answer = await client.post("/v1/users", json=body, headers=headers)
        assert answer.status_code in {401, 403}
        assert answer.json()["code"] == "cross_site_request"
