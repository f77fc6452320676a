"""What authentication and the rate limit cost a request, beside the same work left bare."""

import base64
import hashlib
import hmac
import statistics
import time
from collections import deque

import pytest

from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.directory import Directory, KnownKeypair, KnownLogin, KnownUser
from services.gateway.auth.principals import Principal
from services.gateway.auth.rate_limits import WINDOW_S, RateLimits
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.auth.use_sharing import Ledger
from shared.kernel.clock import SystemClock
from shared.security.nonces import NonceCache
from shared.security.sealing import Keyring
from shared.security.signatures import RequestParts, sign
from shared.security.tokens import new_token, token_hash
from shared.security.transport import seal_secret_key

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]
KEYPAIRS = 20_000
REQUESTS = 4_000
ROUNDS = 7
AUTHENTICATION_LIMIT_US = 150
RATE_LIMIT_US = 50
# What these limits are in times of the bare work: on a slow or busy machine both grow alike.
AUTHENTICATION_FACTOR = 30
RATE_LIMIT_FACTOR = 100
HOST = "gateway.example:8080"
CLOCK = SystemClock()


def median_us(rounds):
    return statistics.median(rounds) * 1e6 / REQUESTS


class Installation:
    """A gateway's memory with many keypairs, as after a start."""

    def __init__(self):
        self.directory, keyring = Directory(), Keyring.generate()
        self.secrets = KeypairSecrets(keyring, queries=None)
        self.ledger = Ledger()
        self.limits = RateLimits(on_accept=self.ledger.accepted)
        nonces = NonceCache(on_use=self.ledger.nonce_used)
        self.token = new_token()
        self.directory.users["u"] = KnownUser("u", "user", "active", "default")
        expires_at = CLOCK.now().replace(year=CLOCK.now().year + 1, day=1)
        self.directory.admit(KnownLogin("l", "u", token_hash(self.token), expires_at))
        self.keys = {f"AKIA{number:016}": f"{number:040}" for number in range(KEYPAIRS)}
        for access_key, secret_key in self.keys.items():
            self.directory.keypairs[access_key] = KnownKeypair(access_key, "u", "active", 10_000)
            self.secrets.put(access_key, seal_secret_key(keyring, access_key, secret_key))
        self.authenticator = Authenticator(self.directory, self.secrets, nonces, CLOCK)

    def requests(self):
        """Return signed requests, each of which is good once, as the edge hands them on."""
        made, keys = [], list(self.keys.items())
        for number in range(REQUESTS):
            access_key, secret_key = keys[number * 7 % len(keys)]
            parts = RequestParts("GET", HOST, "/v1/users", "limit=20&sort=email", {"host": HOST})
            added = sign(parts, access_key=access_key, secret_key=secret_key)
            lower = {name.lower(): value for name, value in added.items()}
            made.append(parts._replace(headers={**parts.headers, **lower}))
        return made


@pytest.fixture(scope="module")
def installation():
    return Installation()


def bare_check(base, key, mac):
    """Check a mac and note the request: all that can't be left out, and none of the reading."""
    made = base64.b64encode(hmac.digest(key, base, "sha256"))
    return hmac.compare_digest(made, mac), hashlib.sha256(base).digest()


async def test_a_signed_request_is_authenticated_well_within_its_limit(installation, show):
    base = b'"@method": GET\n' * 12
    mac = base64.b64encode(hmac.digest(b"k" * 40, base, "sha256"))
    took, bare = [], []
    for _ in range(ROUNDS):
        requests = installation.requests()
        started = time.perf_counter()
        for _ in requests:
            bare_check(base, b"k" * 40, mac)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        for request in requests:
            found = await installation.authenticator.authenticate(request)
            assert isinstance(found, Principal)
        took.append(time.perf_counter() - started)
    ratio = statistics.median(one / other for one, other in zip(took, bare, strict=True))
    show(
        f"a signature is authenticated in {median_us(took):.1f} us (limit"
        f" {AUTHENTICATION_LIMIT_US}), bare mac and hash {median_us(bare):.1f} us:"
        f" {ratio:.1f} x (at most {AUTHENTICATION_FACTOR})"
    )
    assert ratio < AUTHENTICATION_FACTOR


async def test_a_token_is_authenticated_well_within_its_limit(installation, show):
    request = RequestParts(
        "GET", HOST, "/v1/users", "", {"authorization": f"Bearer {installation.token}"}
    )
    took, bare = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(REQUESTS):
            token_hash(installation.token)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        for _ in range(REQUESTS):
            found = await installation.authenticator.authenticate(request)
            assert isinstance(found, Principal)
        took.append(time.perf_counter() - started)
    ratio = statistics.median(one / other for one, other in zip(took, bare, strict=True))
    show(
        f"a token is authenticated in {median_us(took):.1f} us (limit {AUTHENTICATION_LIMIT_US}),"
        f" bare hash {median_us(bare):.1f} us: {ratio:.1f} x (at most {AUTHENTICATION_FACTOR})"
    )
    assert ratio < AUTHENTICATION_FACTOR


class BareLimit:
    """The shortest rolling limit that is exact: one key, no reports, no bound, no headers."""

    def __init__(self):
        self.moments = deque()

    def take(self, limit, now):
        while self.moments and self.moments[0] <= now - WINDOW_S:
            self.moments.popleft()
        if len(self.moments) < limit:
            self.moments.append(now)
            return True
        return False


@pytest.mark.parametrize(
    ("kind", "keys", "limit"),
    [
        ("one busy key", 1, 1_000_000),
        ("many keys", KEYPAIRS, 10_000),
        ("a key that is refused", 1, 5),
        ("a key without a limit", 1, None),
    ],
)
def test_the_rate_limit_costs_well_within_its_limit(installation, show, kind, keys, limit):
    names = list(installation.keys)[:keys]
    took, bare = [], []
    now, plain = 0.0, BareLimit()
    limits = RateLimits(on_accept=installation.ledger.accepted)
    for _ in range(ROUNDS):
        moments = [now + number * 0.002 for number in range(REQUESTS)]
        started = time.perf_counter()
        for moment in moments:
            plain.take(1_000_000, moment)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        for number, moment in enumerate(moments):
            name = names[number * 7 % keys]
            limits.take(name, limit, moment)
            limits.touch(name, CLOCK.now())
        took.append(time.perf_counter() - started)
        now = moments[-1]
    ratio = statistics.median(one / other for one, other in zip(took, bare, strict=True))
    show(
        f"the rate limit of {kind} costs {median_us(took):.2f} us (limit {RATE_LIMIT_US}),"
        f" a bare one {median_us(bare):.2f} us: {ratio:.1f} x (at most {RATE_LIMIT_FACTOR})"
    )
    assert ratio < RATE_LIMIT_FACTOR
