"""What the pages let in, and what they send out: without a browser, as an attacker would."""

import re
from contextlib import closing

import httpx
import pytest

pytestmark = pytest.mark.console

NOT_A_PAGE = "/console/sessions/nothing-here"


@pytest.fixture
def person(installation, client):
    """A client with the console's cookies, as a browser would have them."""
    token = client.headers["Authorization"].removeprefix("Bearer ")
    with closing(httpx.Client(base_url=installation.endpoint, timeout=15)) as made:
        made.cookies.set("qm_session", token)
        yield made


def forgery_token(person):
    page = person.get("/console/sessions").text
    return re.search(r'name="_csrf_token" value="([0-9a-f]+)"', page)[1]


def new_session(token, **fields):
    form = {"name": "forged", "type": "batch", "image": "local/host:latest", "command": "true"}
    form |= {"resource_group": "default"}
    return form | {"cpu": "0.1", "mem": "64m", "_csrf_token": token} | fields


def count(client):
    return client.get("/v1/sessions?name=forged").json()["total"]


def test_a_post_without_the_page_s_token_changes_nothing(person, client):
    person.get("/console/sessions")
    for token in ("", "0" * 128, "x"):
        answer = person.post("/console/sessions", data=new_session(token))
        assert answer.status_code == 403
    assert count(client) == 0


def test_a_form_that_is_sent_twice_submits_one_session(person, client):
    form = person.get("/console/sessions/new").text
    key = re.search(r'name="idempotency_key" value="([^"]+)"', form)[1]
    called = f"once-{key[-8:]}"
    fields = new_session(forgery_token(person), name=called, idempotency_key=key)
    first, second = (person.post("/console/sessions", data=fields) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    assert client.get(f"/v1/sessions?name={called}").json()["total"] == 1


def test_a_token_without_its_cookie_is_worth_nothing(person, client):
    token = forgery_token(person)
    person.cookies.delete("qm_csrf")
    assert person.post("/console/sessions", data=new_session(token)).status_code == 403
    assert count(client) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.test"},
    ],
)
def test_a_post_from_another_site_changes_nothing(person, client, headers):
    token = forgery_token(person)
    answer = person.post("/console/sessions", data=new_session(token), headers=headers)
    assert answer.status_code == 403
    login = person.post("/console/login", data={"_csrf_token": token}, headers=headers)
    assert login.status_code == 403
    assert count(client) == 0


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"&".join([b"a=1"] * 500), b"name=%00&_csrf_token=x", b"{}"]
)
def test_a_form_that_is_none_is_refused_and_never_a_500(person, body):
    token = forgery_token(person)
    headers = {"x-csrftoken": token, "content-type": "application/x-www-form-urlencoded"}
    answer = person.post("/console/sessions", content=body, headers=headers)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    "query", ["offset=x", "offset=-1", "sort=evil", "offset=999999999999", "name=%00", "x=%ff"]
)
@pytest.mark.parametrize("path", ["/console/sessions", "/console/queue", "/console/agents"])
def test_odd_queries_are_refused_or_ignored_and_never_a_500(person, path, query):
    answer = person.get(f"{path}?{query}")
    assert answer.status_code in {200, 400, 404}
    assert answer.headers["content-type"].startswith("text/html")


def test_nobody_sees_a_page_without_logging_in(installation):
    with closing(httpx.Client(base_url=installation.endpoint, timeout=15)) as stranger:
        for path in ("/console/sessions", "/console/queue", "/console/agents", NOT_A_PAGE):
            answer = stranger.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/login?back=")
        fragment = stranger.get("/console/sessions", headers={"HX-Request": "true"})
        assert (fragment.status_code, fragment.content) == (204, b"")
        assert fragment.headers["hx-redirect"].startswith("/console/login")
        live = stranger.get("/console/live?topics=sessions")
        assert live.status_code == 303


def test_every_answer_says_what_a_page_may_load_and_that_it_is_not_kept(person):
    for path in ("/console/login", "/console/sessions", NOT_A_PAGE):
        answer = person.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_scripts_and_styles_are_kept_for_ever_and_come_compressed(person):
    page = person.get("/console/sessions").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(addresses) >= 8
    for address in addresses:
        answer = person.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
    assert person.get("/static/0123456789abcdef/app.js").status_code == 404
    assert person.get("/static/../app.py").status_code == 404


def test_a_fragment_is_the_table_alone(person):
    whole = person.get("/console/sessions")
    part = person.get("/console/sessions", headers={"HX-Request": "true"})
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert 'id="sessions"' in part.text
    assert "HX-Request" in part.headers["vary"]


@pytest.mark.parametrize("path", [NOT_A_PAGE, "/console/nothing", "/console/a/b/c/d"])
def test_what_does_not_exist_is_a_page_that_says_so(person, path):
    answer = person.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "Traceback" not in answer.text
