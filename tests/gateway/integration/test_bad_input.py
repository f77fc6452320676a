"""Whatever is sent to whatever route: a 4xx with a problem body, nothing changed, never a 500."""

import json
import re
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.gateway.application import ROUTES
from services.gateway.http.bodies import BODY_BYTES_MAX
from services.gateway.http.openapi import document
from tests.gateway.integration.harness import ADMIN, PASSWORD

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
ENDLESS = {"/live"}
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in document(ROUTES)["paths"].items()
    for method, operation in methods.items()
    if path not in ENDLESS and not path.endswith("/logout")
]
WRITES = [
    item for item in OPERATIONS if item[0] in {"POST", "PATCH", "PUT"} and "requestBody" in item[2]
]
# what takes any JSON has no field that could be wrong
STRICT = [
    item
    for item in WRITES
    if "$ref" in item[2]["requestBody"]["content"].get("application/json", {}).get("schema", {})
]
READS = [item for item in OPERATIONS if item[0] == "GET"]
IDS = [f"{method} {path}" for method, path, _ in OPERATIONS]
FUZZ = settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def token(stack):
    return (await stack.logged_in()).headers["Authorization"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(stack, token):
    return stack.client(headers={"Authorization": token})


def check(answer):
    assert answer.headers["x-request-id"]
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert set(body) >= PROBLEM
        assert body["status"] == answer.status_code
        assert "Traceback" not in answer.text
    return answer


def filled(path, value="019f0000-0000-7000-8000-000000000000"):
    return re.sub(r"\{\w+\}", lambda _: value, path)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
async def test_an_unknown_parameter_is_named_or_refused(client, method, path, operation):
    if not path.startswith("/v1/"):
        return
    answer = check(await client.request(method, filled(path), params={"nonsense": "1"}, json={}))
    assert answer.status_code in {400, 401, 404, 422}
    if method == "GET" and answer.status_code == 400:
        assert "nonsense" in answer.text


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
async def test_nobody_gets_anywhere_without_proof(stack, method, path, operation):
    answer = check(await stack.client().request(method, filled(path), json={}))
    assert answer.status_code == (401 if operation.get("security") else answer.status_code)


@pytest.mark.parametrize(("method", "path", "operation"), READS, ids=[p for _, p, _ in READS])
@FUZZ
@given(st.data())
async def test_no_query_breaks_a_read(client, method, path, operation, data):
    names = [item["name"] for item in operation["parameters"] if item["in"] == "query"]
    values = st.text(max_size=30) | st.sampled_from(
        ["-1", "0", "true", "NaN", "1e9", "-created_at"]
    )
    query = data.draw(st.lists(st.tuples(st.sampled_from([*names, "limit"]), values), max_size=3))
    key = data.draw(st.text(min_size=1, max_size=40))
    query = [item for item in query if item != ("follow", "true")]
    check(await client.request(method, filled(path, quote(key, safe="")), params=query))


@pytest.mark.parametrize(("method", "path", "operation"), STRICT, ids=[p for _, p, _ in STRICT])
@FUZZ
@given(body=JSON)
async def test_no_json_breaks_a_write(client, method, path, operation, body):
    answer = check(await client.request(method, filled(path), json=body))
    assert answer.status_code >= 400 or (method == "PATCH" and body == {})


@pytest.mark.parametrize(("method", "path", "operation"), STRICT, ids=[p for _, p, _ in STRICT])
@FUZZ
@given(data=st.data())
async def test_no_wrong_value_in_a_known_field_breaks_a_write(
    client, method, path, operation, data
):
    valid = {
        "/v1/users": {"email": "q@example.org", "username": "q", "password": PASSWORD, "role": "x"},
        "/v1/sessions": {"name": "q", "type": "batch", "image": ""},
        "/v1/auth/login": {"email": ADMIN["email"], "password": "x"},
    }.get(path, {})
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    names = list(document(ROUTES)["components"]["schemas"][schema.split("/")[-1]]["properties"])
    name = data.draw(st.sampled_from(names))
    value = data.draw(JSON.filter(lambda it: not isinstance(it, bool)))
    check(await client.request(method, filled(path), json={**valid, name: value}))


@pytest.mark.parametrize(("method", "path", "operation"), WRITES, ids=[p for _, p, _ in WRITES])
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"email": "\\ud800"}', "application/json", 400),
        (b'{"a": "\\u0000"}', "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/html", 415),
        (b" " * (BODY_BYTES_MAX + 1), "application/json", 413),
    ],
    ids=["empty", "cut", "binary", "deep", "surrogate", "nul", "form", "html", "huge"],
)
async def test_bodies_that_are_no_json_are_refused(
    client, method, path, operation, content, kind, status
):
    answer = check(
        await client.request(method, filled(path), content=content, headers={"content-type": kind})
    )
    is_left_out = not content and not operation["requestBody"]["required"]
    assert answer.status_code == (404 if is_left_out else status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/users/me/nothing", 404),
        ("PUT", "/v1/users", 405),
        ("DELETE", "/v1/users", 405),
        ("TRACE", "/v1/users", 405),
        ("GET", "/v1/users/%00", 404),
        ("GET", "/v1/users/%F0%9F%98%80", 404),
        ("GET", "/v1/users/..%2F..%2Fetc", 404),
        ("GET", "/v1/tasks/1.AAAA", 404),
        ("GET", "/v1/sessions/pending?resource_group=%00", 400),
        ("GET", "/live?topics=", 400),
        ("GET", "/live?topics=nonsense", 400),
    ],
)
async def test_addresses_and_methods_that_are_not_there(client, method, path, status):
    assert check(await client.request(method, path)).status_code == status


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "caf\u00e9", "tab\there"], ids=["empty", "long", "accent", "tab"]
)
async def test_an_idempotency_key_must_be_one(client, key):
    answer = check(
        await client.post(
            "/v1/sessions",
            json={"name": "x", "type": "batch", "image": "i"},
            headers={b"Idempotency-Key": key.encode()},
        )
    )
    assert answer.status_code == 400


async def test_after_all_this_nobody_was_made_and_the_gateway_has_logged_no_failure(stack, client):
    assert (await client.get("/v1/users?email=q@example.org")).json()["total"] == 0
    output = stack.services["gateway"].output
    failed = [line for line in output.splitlines() if '"event":"request_failed"' in line]
    assert not failed, json.loads(failed[0])
