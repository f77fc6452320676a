"""Valid signed requests, and every way in which we know to change them."""

import base64
import random
import re
from collections.abc import Callable

from shared.security.signatures import RequestParts, content_digest, sign
from tests.security.signing import NOW

KEYS = {f"AKIAFUZZFUZZFUZZFUZ{number}": f"{number}" * 40 for number in range(4)}
UNKNOWN = "AKIANOBODYNOBODYNOBO"
HOSTS = ("qm.example:8080", "qm.example", "127.0.0.1:8080", "[::1]:8080")
PATHS = ("/v1/users", "/v1/keypairs/AKIAX/deactivate", "/v1/sessions/pending", "/", "/v1/a%2Fb")
QUERIES = ("", "limit=20", "limit=20&sort=-created_at,email", "email=kim%40example.org", "a=1&a=2")
BODIES = (b"", b'{"name":"kim"}', b"[]", bytes(range(256)), b" ")
EXTRA = {"content-type": "application/json", "idempotency-key": "k-1", "x-request-id": "r-1"}
VISIBLE = "".join(map(chr, range(32, 127)))
Change = Callable[[random.Random, RequestParts], RequestParts]


def valid(chance: random.Random) -> RequestParts:
    """Return a request as a client signs it."""
    method = chance.choice(("GET", "POST", "PATCH", "DELETE", "HEAD"))
    names = chance.sample(sorted(EXTRA), chance.randint(0, len(EXTRA)))
    headers = {**{name: EXTRA[name] for name in names}, "accept": "*/*"}
    body = b"" if method in {"GET", "HEAD"} else chance.choice(BODIES)
    request = RequestParts(
        method, chance.choice(HOSTS), chance.choice(PATHS), chance.choice(QUERIES), headers, body
    )
    access_key = chance.choice(sorted(KEYS))
    return signed(request, chance, access_key, also=tuple(names[: chance.randint(0, len(names))]))


def signed(
    request: RequestParts, chance: random.Random, access_key: str, also: tuple[str, ...] = ()
) -> RequestParts:
    added = sign(
        request,
        access_key=access_key,
        secret_key=KEYS.get(access_key, "x" * 40),
        created=NOW + chance.randint(-200, 200),
        nonce=f"nonce-{chance.getrandbits(64):x}",
        also=also,
        label=chance.choice(("qm", "sig1", "x")),
    )
    lower = {name.lower(): value for name, value in added.items()}
    return request._replace(headers={**request.headers, **lower})


def protected(request: RequestParts) -> object:
    """Return all that a signature is about; a change elsewhere is none of its business."""
    said = request.headers.get("signature-input", "")
    label, _, params = said.partition("=")
    mac_label, _, mac = request.headers.get("signature", "").partition("=")
    covered = re.findall(r'"([^"]*)"', params.partition(")")[0])
    return (
        request.method,
        request.authority.lower().removesuffix(":80"),
        request.path or "/",
        request.query,
        request.body,
        params,
        mac,
        label == mac_label,
        tuple(request.headers.get(name) for name in covered if not name.startswith("@")),
    )


def mutate_text(chance: random.Random, text: str) -> str:
    """Change a text in one place, or in its shape."""
    at = chance.randint(0, len(text))
    until = min(len(text), at + chance.randint(1, 4))
    put = "".join(chance.choices(VISIBLE, k=chance.randint(1, 3)))
    return chance.choice(
        (
            text[:at] + put + text[at:],
            text[:at] + text[until:],
            text[:at] + put + text[until:],
            text[:at] + text[at:until] * 2 + text[until:],
            text[:at] + text[at:until].swapcase() + text[until:],
            text[:at],
            text + text,
            text[::-1],
            f" {text}",
            f"{text}\t",
            "",
        )
    )


def mutate_bytes(chance: random.Random, body: bytes) -> bytes:
    if not body:
        return chance.randbytes(chance.randint(1, 8))
    at = chance.randrange(len(body))
    flipped = bytes([body[at] ^ (1 << chance.randint(0, 7))])
    return chance.choice(
        (body[:at] + flipped + body[at + 1 :], body[:at], body + b"\0", body + body, b"")
    )


def with_header(request: RequestParts, name: str, value: str | None) -> RequestParts:
    rest = {key: text for key, text in request.headers.items() if key != name}
    return request._replace(headers=rest if value is None else {**rest, name: value})


def in_params(request: RequestParts, pattern: str, put: str) -> RequestParts:
    value = re.sub(pattern, lambda _: put, request.headers["signature-input"], count=1)
    return with_header(request, "signature-input", value)


def part(chance: random.Random, request: RequestParts) -> RequestParts:
    name = chance.choice(("method", "authority", "path", "query"))
    return request._replace(**{name: mutate_text(chance, getattr(request, name))})


def method(chance: random.Random, request: RequestParts) -> RequestParts:
    return request._replace(method=chance.choice(("GET", "POST", "PUT", "DELETE", "get", "PATCH")))


def host(chance: random.Random, request: RequestParts) -> RequestParts:
    wrong = (*HOSTS, "evil.example", "qm.example:443", "qm.example.evil", "qm.example:080")
    return request._replace(authority=chance.choice(wrong))


def address(chance: random.Random, request: RequestParts) -> RequestParts:
    return request._replace(path=chance.choice(PATHS), query=chance.choice(QUERIES))


def body(chance: random.Random, request: RequestParts) -> RequestParts:
    return request._replace(body=mutate_bytes(chance, request.body))


def body_and_digest(chance: random.Random, request: RequestParts) -> RequestParts:
    other = mutate_bytes(chance, request.body)
    return with_header(request._replace(body=other), "content-digest", content_digest(other))


def header(chance: random.Random, request: RequestParts) -> RequestParts:
    name = chance.choice(sorted(request.headers))
    return with_header(request, name, mutate_text(chance, request.headers[name]))


def no_header(chance: random.Random, request: RequestParts) -> RequestParts:
    return with_header(request, chance.choice(sorted(request.headers)), None)


def algorithm(chance: random.Random, request: RequestParts) -> RequestParts:
    others = ("none", "hmac-sha1", "hmac-sha512", "rsa-pss-sha512", "ed25519", "HMAC-SHA256", "")
    said = [f';alg="{name}"' for name in others]
    said += ["", ";alg=hmac-sha256", ';alg="hmac-sha256";alg="none"']
    return in_params(request, r';alg="[^"]*"', chance.choice(said))


def key(chance: random.Random, request: RequestParts) -> RequestParts:
    other = chance.choice((*sorted(KEYS), UNKNOWN, "", "*"))
    return in_params(request, r';keyid="[^"]*"', f';keyid="{other}"')


def time(chance: random.Random, request: RequestParts) -> RequestParts:
    other = NOW + chance.choice((-10_000, -301, -1, 0, 1, 301, 10_000, -NOW))
    return in_params(request, r";created=\d+", f";created={other}")


def expires(chance: random.Random, request: RequestParts) -> RequestParts:
    text = f";expires={NOW + chance.randint(0, 500)}"
    return with_header(request, "signature-input", request.headers["signature-input"] + text)


def nonce(chance: random.Random, request: RequestParts) -> RequestParts:
    return in_params(request, r';nonce="[^"]*"', f';nonce="nonce-{chance.getrandbits(64):x}"')


def components(chance: random.Random, request: RequestParts) -> RequestParts:
    said = request.headers["signature-input"]
    names = re.findall(r'"[^"]*"', said.partition(")")[0])
    kind = chance.randint(0, 3)
    if kind == 0:
        names.remove(chance.choice(names))
    elif kind == 1:
        chance.shuffle(names)
    elif kind == 2:
        names.insert(chance.randint(0, len(names)), chance.choice(names))
    else:
        names.append(chance.choice(('"accept"', '"@target-uri"', '"@status"', '"signature"')))
    return in_params(request, r"\([^)]*\)", f"({' '.join(names)})")


def mac(chance: random.Random, request: RequestParts) -> RequestParts:
    label, _, _ = request.headers["signature"].partition("=")
    made = base64.b64encode(chance.randbytes(chance.choice((0, 16, 31, 32, 33, 64)))).decode()
    return with_header(request, "signature", f"{label}=:{made}:")


def twice(chance: random.Random, request: RequestParts) -> RequestParts:
    name = chance.choice(("signature", "signature-input", "content-digest"))
    value = request.headers.get(name, "x")
    return with_header(request, name, f"{value}, {value}")


def label(chance: random.Random, request: RequestParts) -> RequestParts:
    name = chance.choice(("signature", "signature-input"))
    return with_header(request, name, "zz=" + request.headers[name].partition("=")[2])


def of_another(chance: random.Random, request: RequestParts) -> RequestParts:
    other = request
    while other[:4] == request[:4]:  # what was signed must be something else
        other = valid(chance)
    names = chance.choice((("signature",), ("signature-input",), ("signature", "signature-input")))
    for name in names:
        request = with_header(request, name, other.headers[name])
    return request


def by_nobody(chance: random.Random, request: RequestParts) -> RequestParts:
    """Sign properly, with a key that nobody has issued."""
    return signed(request, chance, UNKNOWN)


CHANGES: tuple[Change, ...] = (
    part, method, host, address, body, body_and_digest, header, no_header, algorithm, key, time,
    expires, nonce, components, mac, twice, label, of_another, by_nobody,
)  # fmt: skip
