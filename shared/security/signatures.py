"""Request signatures: a strict profile of RFC 9421 (HMAC-SHA256) with RFC 9530 body digests.

A client signs with `sign`; the gateway reads the headers, looks the secret up, and verifies:

    parsed = parse(request)                       # SignatureInput or Rejection; costs no secret
    secret = await secrets.of(parsed.keyid)       # None when there is no such key
    outcome = verify(request, parsed, secret, now=clock.now().timestamp(), nonces=nonces)

`verify` answers Verified or one of these refusals (all 401), none of which tells whether the key
exists: signature_malformed, signature_algorithm, signature_missing_component, signature_stale,
signature_invalid (also for an unknown key), digest_mismatch, signature_replayed. That the key or
its user is inactive may be said only after `verify` has accepted: then the caller holds the secret.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from shared.kernel.rejections import Rejection, unavailable
from shared.security.nonces import NonceCache
from shared.security.signature_input import ALGORITHM, SignatureInput, read_signature

WINDOW_S: Final = 300
REQUIRED: Final = ("@method", "@authority", "@path", "@query")
DIGEST: Final = "content-digest"
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_DIGEST = re.compile(r"sha-256=:(?P<digest>[A-Za-z0-9+/]{43}=):", re.ASCII)
_NOBODY: Final = secrets.token_bytes(40)


class RequestParts(NamedTuple):
    """A request as far as its signature is concerned.

    `path` and `query` are as they travel: percent-encoded, the query without its `?`. `headers` has
    lower-case names; several lines of one name are joined by ", ". `scheme` decides which port is
    left out of the authority.
    """

    method: str
    authority: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    scheme: str = "http"

    @classmethod
    def of_url(
        cls, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> "RequestParts":
        """Return the parts of a client's request; `url` is absolute and percent-encoded."""
        split = urlsplit(url)
        named = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(method, split.netloc, split.path or "/", split.query, named, body, split.scheme)


class Verified(NamedTuple):
    """An authentic request: who signed it and when (seconds since 1970)."""

    keyid: str
    created: int
    nonce: str


def join_headers(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return ASGI header lines by lower-case name, repeated lines joined by ", "."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def content_digest(body: bytes) -> str:
    """Return the value of `Content-Digest` for a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign(
    request: RequestParts,
    *,
    access_key: str,
    secret_key: str,
    created: int | None = None,
    nonce: str | None = None,
    also: tuple[str, ...] = (),
    label: str = "qm",
) -> dict[str, str]:
    """Return the headers that sign a request; add them to those it has.

    `also` names further headers of the request to cover; they must be in `request.headers`.
    `created` (seconds since 1970) and `nonce` are those of now unless given.
    """
    headers: dict[str, str] = {}
    components = REQUIRED + also
    if request.body:
        headers["Content-Digest"] = content_digest(request.body)
        components += (DIGEST,)
    moment = int(time.time()) if created is None else created
    once = secrets.token_urlsafe(16) if nonce is None else nonce
    covered = " ".join(f'"{name}"' for name in components)
    params = f'({covered});created={moment};nonce="{once}";keyid="{access_key}";alg="{ALGORITHM}"'
    known = {**request.headers, **{name.lower(): value for name, value in headers.items()}}
    base = _base(request._replace(headers=known), components, params)
    if isinstance(base, Rejection):
        raise ValueError(base.message)  # noqa: TRY004  # a header is absent, no type is wrong
    mac = base64.b64encode(hmac.digest(secret_key.encode("ascii"), base, "sha256")).decode()
    headers["Signature-Input"] = f"{label}={params}"
    headers["Signature"] = f"{label}=:{mac}:"
    return headers


def parse(request: RequestParts) -> SignatureInput | Rejection:
    """Read a request's signature headers and check that they cover what they must."""
    parsed = read_signature(
        request.headers.get("signature-input"), request.headers.get("signature")
    )
    if isinstance(parsed, Rejection):
        return parsed
    needed = (*REQUIRED, DIGEST) if request.body else REQUIRED
    for name in needed:
        if name not in parsed.components:
            return _missing(name)
    return parsed


def verify(
    request: RequestParts,
    parsed: SignatureInput,
    secret_key: str | None,
    *,
    now: float,
    nonces: NonceCache,
) -> Verified | Rejection:
    """Decide whether a request is authentic; `secret_key` is None when the key is unknown.

    The work is the same for unknown keys, and macs are compared in constant time. The nonce is
    taken only when everything else is right, so that nobody can use up another's.
    """
    base = _base(request, parsed.components, parsed.params)
    if isinstance(base, Rejection):
        return base
    if not _is_fresh(parsed, now, nonces.since):
        return Rejection(
            kind="unauthenticated",
            code="signature_stale",
            message=f"The signature was not made within {WINDOW_S} s of this machine's time.",
            details={"server_time": int(now)},
        )
    key = _NOBODY if secret_key is None else secret_key.encode()
    mac = base64.b64encode(hmac.digest(key, base, "sha256"))
    if not hmac.compare_digest(mac, parsed.mac.encode()) or secret_key is None:
        return _unauthenticated("signature_invalid", "The signature is not right.")
    if DIGEST in parsed.components and not _digest_matches(request):
        return _unauthenticated("digest_mismatch", "The body is not the one that was signed.")
    taken = nonces.use(parsed.keyid, parsed.nonce, expires=parsed.created + WINDOW_S, now=now)
    if taken == "used":
        return _unauthenticated("signature_replayed", "This signed request was used before.")
    if taken == "full":
        return unavailable("too_many_signatures", "Too many signed requests at once.", 30)
    return Verified(parsed.keyid, parsed.created, parsed.nonce)


def _is_fresh(parsed: SignatureInput, now: float, since: float | None) -> bool:
    if abs(now - parsed.created) > WINDOW_S:
        return False
    if parsed.expires is not None and now > parsed.expires:
        return False
    return since is None or parsed.created >= int(since)


def _digest_matches(request: RequestParts) -> bool:
    said = _DIGEST.fullmatch(request.headers.get(DIGEST, ""))
    actual = base64.b64encode(hashlib.sha256(request.body).digest())
    return said is not None and hmac.compare_digest(actual, said["digest"].encode())


def _base(request: RequestParts, components: tuple[str, ...], params: str) -> bytes | Rejection:
    """Return the signature base (RFC 9421 §2.5), or the refusal of a component that is absent."""
    lines = []
    for name in components:
        value = _derived(request, name) if name[0] == "@" else request.headers.get(name)
        if value is None:
            return _missing(name)
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {params}')
    return "\n".join(lines).encode("latin-1", "backslashreplace")


def _derived(request: RequestParts, name: str) -> str:
    if name == "@method":
        return request.method
    if name == "@authority":
        authority = request.authority.lower()
        return authority.removesuffix(DEFAULT_PORTS.get(request.scheme, "\0"))
    if name == "@path":
        return request.path or "/"
    return f"?{request.query}"


def _missing(name: str) -> Rejection:
    return Rejection(
        kind="unauthenticated",
        code="signature_missing_component",
        message=f'The signature must cover "{name[:64]}", and the request must have it.',
        details={"component": name[:64]},
    )


def _unauthenticated(code: str, message: str) -> Rejection:
    return Rejection(kind="unauthenticated", code=code, message=message)
