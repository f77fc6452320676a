"""Requests to sign and to tamper with, shared by the tests of signatures."""

import base64
import hmac
from typing import Any

from shared.kernel.rejections import Rejection
from shared.security.nonces import NonceCache
from shared.security.signatures import (
    RequestParts,
    Verified,
    content_digest,
    parse,
    sign,
    verify,
)

NOW = 1_800_000_000
SECRET = "s" * 40
REQUEST = RequestParts("POST", "qm.example:8080", "/v1/users", "limit=2", {}, b'{"name":"kim"}')


def signed(request: RequestParts = REQUEST, **changes: Any) -> RequestParts:
    options: dict[str, Any] = {
        "access_key": "AKIAX",
        "secret_key": SECRET,
        "created": NOW,
        "nonce": "nonce-0001",
        **changes,
    }
    added = {name.lower(): value for name, value in sign(request, **options).items()}
    return request._replace(headers={**request.headers, **added})


def check(
    request: RequestParts,
    *,
    secret: str | None = SECRET,
    now: float = NOW,
    nonces: NonceCache | None = None,
) -> Verified | Rejection:
    parsed = parse(request)
    if isinstance(parsed, Rejection):
        return parsed
    return verify(request, parsed, secret, now=now, nonces=nonces or NonceCache())


def code(outcome: Verified | Rejection) -> str:
    assert isinstance(outcome, Rejection)
    return outcome.code


def resigned(params: str, base_lines: list[str], request: RequestParts = REQUEST) -> RequestParts:
    """Sign any parameters by hand, as a client that follows other rules would."""
    base = "\n".join([*base_lines, f'"@signature-params": {params}']).encode()
    mac = base64.b64encode(hmac.digest(SECRET.encode(), base, "sha256")).decode()
    headers = {
        "signature-input": f"x={params}",
        "signature": f"x=:{mac}:",
        "content-digest": content_digest(request.body),
    }
    return request._replace(headers={**request.headers, **headers})


LINES = {
    "@method": '"@method": POST',
    "@authority": '"@authority": qm.example:8080',
    "@path": '"@path": /v1/users',
    "@query": '"@query": ?limit=2',
    "content-digest": f'"content-digest": {content_digest(REQUEST.body)}',
}
PARAMS = f';created={NOW};nonce="nonce-0001";keyid="AKIAX";alg="hmac-sha256"'


def by_hand(*names: str, params: str = PARAMS) -> RequestParts:
    covered = " ".join(f'"{name}"' for name in names)
    return resigned(f"({covered}){params}", [LINES[name] for name in names if name in LINES])
