"""The reader of signatures takes one spelling only, and refuses the rest."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.rejections import Rejection
from tests.security.signing import LINES, NOW, PARAMS, REQUEST, by_hand, check, code, resigned

ALL = " ".join(f'"{name}"' for name in LINES)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"({ALL}){PARAMS}".replace("hmac-sha256", "hmac-sha512"), "signature_algorithm"),
        (f"({ALL}){PARAMS}".replace("hmac-sha256", "none"), "signature_algorithm"),
        (f'({ALL});created={NOW};nonce="nonce-0001";keyid="AKIAX"', "signature_malformed"),
        (f'({ALL});nonce="nonce-0001";keyid="A";alg="hmac-sha256"', "signature_malformed"),
        (f'({ALL});created={NOW};keyid="A";alg="hmac-sha256"', "signature_malformed"),
        (f'({ALL}){PARAMS};tag="x"', "signature_malformed"),
        (f"({ALL}){PARAMS};created={NOW}", "signature_malformed"),
        (f'({ALL}){PARAMS};keyid="B"', "signature_malformed"),
        (f'({ALL} "@path"){PARAMS}', "signature_malformed"),
        (f'({ALL} "@status"){PARAMS}', "signature_malformed"),
        (f'({ALL} "signature"){PARAMS}', "signature_malformed"),
        (f'({ALL} "x-a";sf){PARAMS}', "signature_malformed"),
        (f"( {ALL}){PARAMS}", "signature_malformed"),
        (f"({ALL}) {PARAMS}", "signature_malformed"),
        (f"({ALL}){PARAMS}, y=({ALL}){PARAMS}", "signature_malformed"),
        (f"({ALL}){PARAMS}".replace(str(NOW), f'"{NOW}"'), "signature_malformed"),
        (f"({ALL}){PARAMS}".replace(str(NOW), f"{NOW}.5"), "signature_malformed"),
        (f"({ALL}){PARAMS}".replace(str(NOW), f"-{NOW}"), "signature_malformed"),
        (f"({ALL}){PARAMS}".replace("nonce-0001", "short"), "signature_malformed"),
        (f"({ALL}){PARAMS}".replace("nonce-0001", "n" * 129), "signature_malformed"),
        (f"({ALL}){PARAMS}".replace("AKIAX", "A\\"), "signature_malformed"),
        (f"(){PARAMS}", "signature_malformed"),
        ("?1", "signature_malformed"),
        (f"({ALL}{''.join(f' {chr(34)}x-{n}{chr(34)}' for n in range(28))}){PARAMS}",
         "signature_malformed"),
        (f"({ALL}){PARAMS}" + " " * 2048, "signature_malformed"),
    ],
)  # fmt: skip
def test_unusual_signatures_are_refused_even_when_they_are_signed(
    value: str, expected: str
) -> None:
    outcome = check(resigned(value, list(LINES.values())))
    assert code(outcome) == expected
    assert isinstance(outcome, Rejection)
    assert outcome.kind == "unauthenticated"


@pytest.mark.parametrize(
    "header",
    ["", "x", "x=::", "y=:{mac}:", "x=:{mac}:;a", "x=:{mac}:, x=:{mac}:", "x=:{mac}=:", "x={mac}"],
)
def test_unusual_signature_headers_are_refused(header: str) -> None:
    request = by_hand(*LINES)
    mac = request.headers["signature"][3:-1]
    headers = {**request.headers, "signature": header.format(mac=mac)}
    assert code(check(request._replace(headers=headers))) == "signature_malformed"


def test_a_signature_has_one_spelling_only() -> None:
    request = by_hand(*LINES)
    mac = request.headers["signature"][3:-2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = mac[:-1] + alphabet[alphabet.index(mac[-1]) ^ 1]
    assert base64.b64decode(twin + "=") == base64.b64decode(mac + "=")
    headers = {**request.headers, "signature": f"x=:{twin}=:"}
    assert code(check(request._replace(headers=headers))) == "signature_invalid"


@given(
    said=st.text(max_size=300) | st.from_regex(r'x=\("@[a-z]*"( "[a-z]+")*\)(;[a-z]+="?\w*"?)*'),
    mac=st.text(max_size=80),
    digest=st.text(max_size=60),
)
def test_no_header_whatsoever_makes_the_reader_fail(said: str, mac: str, digest: str) -> None:
    headers = {"signature-input": said, "signature": mac, "content-digest": digest}
    assert isinstance(check(REQUEST._replace(headers=headers)), Rejection)


@given(digest=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_a_digest_that_was_signed_but_is_not_the_body_s_is_refused(digest: str) -> None:
    lines = [LINES[name] for name in LINES if name != "content-digest"]
    request = resigned(f"({ALL}){PARAMS}", [*lines, f'"content-digest": {digest}'])
    headers = {**request.headers, "content-digest": digest}
    assert code(check(request._replace(headers=headers))) == "digest_mismatch"
