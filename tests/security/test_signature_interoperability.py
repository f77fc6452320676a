"""Our signatures and those of an independent implementation of RFC 9421 understand each other."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier
from http_message_signatures.algorithms import HMAC_SHA256
from http_message_signatures.exceptions import InvalidSignature
from http_message_signatures.resolvers import HTTPSignatureKeyResolver

from shared.security.nonces import NonceCache
from shared.security.signatures import RequestParts, Verified, parse, sign, verify

SECRET = "s" * 40
COMPONENTS = ("@method", "@authority", "@path", "@query")
URLS = [
    "http://qm.example:8080/v1/users?limit=2&sort=-created_at",
    "http://qm.example/v1/users",
    "http://qm.example:80/",
    "https://qm.example:443/v1/folders/x/files/a%20b?path=%2Fx",
]


class Keys(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:
        return SECRET.encode()

    def resolve_public_key(self, key_id: str) -> bytes:
        return SECRET.encode()


def message(url: str, headers: dict[str, str], body: bytes) -> Any:
    return SimpleNamespace(
        method="POST", url=url, headers={"Host": "qm.example", **headers}, body=body
    )


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("body", [b"", b'{"a":1}'])
def test_we_accept_what_the_other_signs(url: str, body: bytes) -> None:
    theirs = message(url, {}, body)
    signer = HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=Keys())
    signer.sign(
        theirs,
        key_id="AKIAX",
        nonce="nonce-0001",
        label="other",
        covered_component_ids=COMPONENTS,
        **({"body": body} if body else {}),
    )
    request = RequestParts.of_url("POST", url, headers=theirs.headers, body=body)
    parsed = parse(request)
    assert not hasattr(parsed, "code"), parsed
    outcome = verify(request, parsed, SECRET, now=time.time(), nonces=NonceCache())  # type: ignore[arg-type]
    assert isinstance(outcome, Verified), outcome


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("body", [b"", b'{"a":1}'])
def test_the_other_accepts_what_we_sign(url: str, body: bytes) -> None:
    ours = sign(RequestParts.of_url("POST", url, body=body), access_key="AKIAX", secret_key=SECRET)
    verifier = HTTPMessageVerifier(signature_algorithm=HMAC_SHA256, key_resolver=Keys())
    results = verifier.verify(message(url, ours, body))
    assert results[0].parameters["keyid"] == "AKIAX"
    with pytest.raises(InvalidSignature):
        verifier.verify(message(url + "x", ours, body))
