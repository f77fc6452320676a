"""The edge itself, with a real authenticator in memory and a plain application behind it."""

import asyncio

import httpx
import msgspec
import pytest

from services.gateway.api.lists import Lists
from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.directory import Directory, KnownKeypair, KnownUser
from services.gateway.auth.rate_limits import WINDOW_S, RateLimits
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.http.calls import call_of
from services.gateway.http.edge import Edge
from services.gateway.http.gate import Gate
from shared.kernel.rejections import Rejection
from shared.security.nonces import NonceCache
from shared.security.sealing import Keyring
from shared.security.transport import seal_secret_key
from shared.testing.clock import FakeClock
from tests.gateway.integration.harness import Signature

SECRET = "s" * 40


class NoLists(Lists):
    """Leaves everything to the application."""

    def __init__(self) -> None:
        self._resources = {}


class Behind:
    """An application that tells who called, or waits until it is let go."""

    def __init__(self) -> None:
        self.seen = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, scope, receive, send) -> None:
        call = call_of(scope)
        self.seen.append(call)
        if self.hold is not None:
            await self.hold.wait()
        if call.path == "/bug":
            raise RuntimeError("a bug of ours")
        if call.path == "/away":
            raise ConnectionRefusedError("postgres")
        refusal = call.refusal if isinstance(call.refusal, Rejection) else None
        who = call.principal.user_id if call.principal else None
        body = msgspec.json.encode({"who": who, "refusal": refusal and refusal.code})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def behind():
    return Behind()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def directory():
    made = Directory()
    made.users["u1"] = KnownUser("u1", "user", "active", "default")
    made.keypairs["AK1"] = KnownKeypair("AK1", "u1", "active", 3)
    return made


@pytest.fixture
def edge(behind, clock, directory):
    keyring = Keyring.generate()
    secrets = KeypairSecrets(keyring, queries=None)
    secrets.put("AK1", seal_secret_key(keyring, "AK1", SECRET))
    return Edge(
        behind,
        authenticator=Authenticator(directory, secrets, NonceCache(), clock),
        directory=directory,
        limits=RateLimits(),
        fast=NoLists(),
        clock=clock,
    )


class SignedNow(Signature):
    """Signs with the time of the test's clock."""

    def __init__(self, clock) -> None:
        super().__init__("AK1", SECRET)
        self.clock = clock

    def auth_flow(self, request):
        from shared.security.signatures import RequestParts, sign

        parts = RequestParts.of_url(
            request.method, str(request.url), headers=dict(request.headers), body=request.content
        )
        created = int(self.clock.now().timestamp())
        request.headers.update(sign(parts, access_key="AK1", secret_key=SECRET, created=created))
        yield request


def client(edge, auth=None):
    transport = httpx.ASGITransport(edge, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", auth=auth)


async def test_the_request_id_is_kept_when_it_is_a_fit_one_and_replaced_otherwise(edge, behind):
    async with client(edge) as http:
        kept = await http.get("/x", headers={"X-Request-Id": "abc-1"})
        assert kept.headers["x-request-id"] == "abc-1"
        for unfit in ("a b", "x" * 65, "", "<script>"):
            answer = await http.get("/x", headers={"X-Request-Id": unfit})
            assert answer.headers["x-request-id"] not in {unfit, ""}
    assert behind.seen[0].request_id == "abc-1"


async def test_the_request_beyond_the_limit_is_429_until_the_first_has_aged_out(edge, clock):
    async with client(edge, SignedNow(clock)) as http:
        left = []
        for _ in range(3):
            answer = await http.get("/x")
            assert answer.status_code == 200
            left.append(answer.headers["x-ratelimit-remaining"])
        assert left == ["2", "1", "0"]
        refused = await http.get("/x")
        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_limited"
        assert int(refused.headers["retry-after"]) == WINDOW_S
        assert refused.headers["x-ratelimit-limit"] == "3"
        clock.advance(WINDOW_S)
        assert (await http.get("/x")).status_code == 200


async def test_what_was_signed_too_long_ago_or_in_the_future_is_stale(edge, clock):
    request = client(edge).build_request("GET", "/x")
    next(SignedNow(clock).auth_flow(request))
    clock.advance(301)
    async with client(edge) as http:
        assert (await http.send(request)).json()["refusal"] == "signature_stale"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            lambda directory: setattr(directory.keypairs["AK1"], "status", "inactive"),
            "keypair_inactive",
        ),
        (lambda directory: setattr(directory.users["u1"], "status", "inactive"), "user_inactive"),
        (lambda directory: directory.keypairs.clear(), "signature_invalid"),
    ],
)
async def test_an_inactive_key_or_user_is_refused(edge, clock, directory, change, code):
    change(directory)
    async with client(edge, SignedNow(clock)) as http:
        assert (await http.get("/x")).json() == {"who": None, "refusal": code}


async def test_a_bug_is_a_plain_500_without_a_trace_and_an_outage_a_503(edge):
    async with client(edge) as http:
        bug = await http.get("/bug")
        assert (bug.status_code, bug.json()["code"]) == (500, "internal_error")
        assert "RuntimeError" not in bug.text
        away = await http.get("/away")
        assert (away.status_code, away.json()["code"]) == (503, "database_away")
        assert away.headers["retry-after"]


async def test_a_full_gateway_says_so_at_once_and_goes_on_when_there_is_room(edge, behind):
    edge.gates.reads = Gate(1, 1)
    behind.hold = asyncio.Event()
    async with client(edge) as http:
        answers = [asyncio.create_task(http.get("/x")) for _ in range(3)]
        done, _ = await asyncio.wait(answers, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [task.result() for task in done]
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"]
        assert edge.gates.reads.load == (1, 1)
        behind.hold.set()
        assert (await http.post("/x")).status_code == 200
        statuses = sorted([(await task).status_code for task in answers])
        assert statuses == [200, 200, 503]
    assert edge.gates.reads.load == (0, 0)


async def test_whoever_hangs_up_in_line_never_reaches_the_application(edge, behind):
    edge.gates.reads = Gate(0, 5)

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    await edge(scope, receive, send)
    assert behind.seen == []
    assert edge.gates.reads.load == (0, 0)
