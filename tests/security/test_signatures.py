"""Request signatures: what is accepted, what is refused, and with which code."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.rejections import Rejection
from shared.security.nonces import NonceCache
from shared.security.signatures import RequestParts, Verified, content_digest, join_headers
from tests.security.signing import LINES, NOW, PARAMS, REQUEST, by_hand, check, code, signed


def test_a_signed_request_is_accepted() -> None:
    assert check(signed()) == Verified("AKIAX", NOW, "nonce-0001")


def test_a_request_without_body_and_query_is_accepted() -> None:
    bare = RequestParts("GET", "qm.example", "")
    assert isinstance(check(signed(bare)), Verified)


def test_further_headers_can_be_covered() -> None:
    request = REQUEST._replace(headers={"content-type": "application/json"})
    covered = signed(request, also=("content-type",))
    assert isinstance(check(covered), Verified)
    changed = covered._replace(headers={**covered.headers, "content-type": "text/plain"})
    assert code(check(changed)) == "signature_invalid"


def test_any_order_of_components_that_was_signed_is_accepted() -> None:
    assert isinstance(check(by_hand(*reversed(LINES))), Verified)


def test_a_default_port_and_capitals_in_the_authority_do_not_matter() -> None:
    request = REQUEST._replace(authority="QM.example:80")
    heard = signed(request)._replace(authority="qm.example")
    assert isinstance(check(heard), Verified)
    https = signed(request._replace(scheme="https"))._replace(authority="qm.example")
    assert code(check(https)) == "signature_invalid"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"method": "DELETE"}, "signature_invalid"),
        ({"authority": "other.example:8080"}, "signature_invalid"),
        ({"path": "/v1/keypairs"}, "signature_invalid"),
        ({"path": "/v1/%75sers"}, "signature_invalid"),
        ({"query": "limit=3"}, "signature_invalid"),
        ({"query": ""}, "signature_invalid"),
        ({"body": b'{"name":"lee"}'}, "digest_mismatch"),
        ({"body": b""}, "digest_mismatch"),
        ({"headers": {}}, "signature_malformed"),
    ],
)
def test_a_changed_request_is_refused(change: dict[str, Any], expected: str) -> None:
    assert code(check(signed()._replace(**change))) == expected


def test_a_body_whose_digest_was_replaced_too_is_refused() -> None:
    request = signed()
    headers = {**request.headers, "content-digest": content_digest(b"other")}
    assert code(check(request._replace(body=b"other", headers=headers))) == "signature_invalid"


def test_a_body_added_to_a_request_without_one_is_refused() -> None:
    request = signed(REQUEST._replace(body=b""))
    assert code(check(request._replace(body=b"x"))) == "signature_missing_component"


@pytest.mark.parametrize("name", list(LINES))
def test_every_required_component_must_be_covered(name: str) -> None:
    outcome = check(by_hand(*(other for other in LINES if other != name)))
    assert code(outcome) == "signature_missing_component"
    assert isinstance(outcome, Rejection)
    assert outcome.details == {"component": name}


def test_a_covered_header_that_is_absent_is_refused() -> None:
    assert code(check(by_hand(*LINES, "x-absent"))) == "signature_missing_component"


def test_a_wrong_secret_and_an_unknown_key_are_told_apart_by_nothing() -> None:
    wrong = check(signed(), secret="t" * 40)
    unknown = check(signed(), secret=None)
    assert wrong == unknown
    assert code(wrong) == "signature_invalid"


@pytest.mark.parametrize(("age", "fresh"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_a_signature_is_good_for_300_seconds_either_way(age: int, fresh: bool) -> None:  # noqa: FBT001
    outcome = check(signed(), now=NOW + age)
    assert isinstance(outcome, Verified) if fresh else code(outcome) == "signature_stale"


def test_an_expired_signature_is_stale() -> None:
    request = by_hand(*LINES, params=PARAMS + f";expires={NOW + 10}")
    assert isinstance(check(request, now=NOW + 10), Verified)
    assert code(check(request, now=NOW + 11)) == "signature_stale"


def test_a_request_is_accepted_once() -> None:
    nonces = NonceCache()
    assert isinstance(check(signed(), nonces=nonces), Verified)
    assert code(check(signed(), nonces=nonces)) == "signature_replayed"
    later = signed(created=NOW + 299)
    assert code(check(later, nonces=nonces, now=NOW + 299)) == "signature_replayed"
    assert isinstance(check(signed(nonce="nonce-0002"), nonces=nonces), Verified)
    assert isinstance(check(signed(access_key="AKIAY"), nonces=nonces), Verified)


def test_a_refused_request_does_not_use_up_the_nonce() -> None:
    nonces = NonceCache()
    check(signed(), secret="t" * 40, nonces=nonces)
    check(signed()._replace(body=b"other"), nonces=nonces)
    assert nonces.size == 0
    assert isinstance(check(signed(), nonces=nonces), Verified)


def test_nonces_are_forgotten_only_after_their_signature_is_stale() -> None:
    nonces = NonceCache()
    check(signed(), nonces=nonces)
    for moment in range(NOW, NOW + 301, 10):
        assert code(check(signed(), nonces=nonces, now=moment)) == "signature_replayed"
    check(signed(created=NOW + 400, nonce="nonce-0002"), nonces=nonces, now=NOW + 400)
    assert nonces.size == 1


def test_a_full_memory_of_nonces_refuses_instead_of_forgetting() -> None:
    nonces = NonceCache(capacity=2)
    for number in (1, 2):
        assert isinstance(check(signed(nonce=f"nonce-000{number}"), nonces=nonces), Verified)
    outcome = check(signed(nonce="nonce-0003"), nonces=nonces)
    assert isinstance(outcome, Rejection)
    assert (outcome.kind, outcome.retry_after_s) == ("unavailable", 30)
    assert code(check(signed(), nonces=nonces)) == "signature_replayed"
    fresh = signed(nonce="nonce-0003", created=NOW + 400)
    assert isinstance(check(fresh, nonces=nonces, now=NOW + 400), Verified)


def test_one_key_cannot_fill_the_memory_of_nonces_for_others() -> None:
    nonces = NonceCache(per_key=1)
    assert isinstance(check(signed(), nonces=nonces), Verified)
    assert isinstance(check(signed(nonce="nonce-0002"), nonces=nonces), Rejection)
    assert isinstance(check(signed(access_key="AKIAY"), nonces=nonces), Verified)


def test_what_was_signed_before_this_process_started_is_stale() -> None:
    nonces = NonceCache(since=NOW + 0.9)
    assert code(check(signed(created=NOW - 1), nonces=nonces, now=NOW + 2)) == "signature_stale"
    assert isinstance(check(signed(), nonces=nonces, now=NOW + 2), Verified)


def test_repeated_header_lines_are_joined_in_order() -> None:
    lines = [(b"X-A", b" 1 "), (b"x-b", b"2"), (b"x-a", b"3")]
    assert join_headers(lines) == {"x-a": "1, 3", "x-b": "2"}


def test_signing_a_header_that_is_absent_is_an_error() -> None:
    with pytest.raises(ValueError, match="content-type"):
        signed(also=("content-type",))


@given(
    where=st.sampled_from(["signature-input", "signature", "content-digest"]),
    position=st.integers(0, 400),
    put=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=3),
    drop=st.integers(0, 3),
)
def test_no_mutation_of_the_headers_is_accepted(
    where: str, position: int, put: str, drop: int
) -> None:
    request = signed()
    value = request.headers[where]
    position %= len(value) + 1
    mutated = value[:position] + put + value[position + drop :]
    if mutated == value:
        return
    headers = {**request.headers, where: mutated}
    assert isinstance(check(request._replace(headers=headers)), Rejection)


@given(
    method=st.sampled_from(["GET", "POST", "post", "PUT"]),
    authority=st.sampled_from(["qm.example:8080", "qm.example", "qm.example:80", "x"]),
    path=st.text(st.sampled_from("/v1users%2e?#"), max_size=12),
    query=st.text(st.sampled_from("limit=2&%"), max_size=9),
    body=st.binary(max_size=6),
)
def test_a_signature_fits_no_other_request(
    method: str, authority: str, path: str, query: str, body: bytes
) -> None:
    headers = signed().headers
    other = RequestParts(method, authority, path, query, headers, body)
    if other == signed():
        return
    assert isinstance(check(other), Rejection)
