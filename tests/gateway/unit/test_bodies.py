import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.actions.sessions import CreateSessionBody
from services.gateway.actions.users import CreateUserBody
from services.gateway.http.bodies import BODY_BYTES_MAX, check_body, read_body, receive_body
from services.gateway.http.problems import Refused, problem_body
from shared.kernel.rejections import FieldError, Rejection

USER = {"email": "a@b.c", "username": "a", "password": "x"}


def refusal(raw):
    with pytest.raises(Refused) as caught:
        read_body(raw, CreateUserBody)
    assert caught.value.status == 400
    return caught.value.rejection


def test_an_unknown_field_is_named():
    found = refusal(json.dumps({**USER, "emial": "x"}).encode())
    assert [(error.field, error.code) for error in found.errors] == [("emial", "unknown_field")]


def test_a_missing_field_is_named():
    found = refusal(b'{"email": "a@b.c"}')
    assert found.errors[0].code == "required"
    assert found.errors[0].field in USER


def test_a_wrong_type_is_named_by_its_path():
    found = refusal(json.dumps({**USER, "projects": ["a", 5]}).encode())
    assert found.errors[0].field.startswith("projects")
    assert found.errors[0].code == "wrong_type"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b'{"email": "\xff"}', b"[" * 100_000, b"null", b"[]", b"1e999"]
)
def test_what_is_not_the_object_is_refused(raw):
    assert refusal(raw).kind == "malformed"


@pytest.mark.parametrize("raw", [b'{"a": "\\u0000"}', b'{"a\\u0000": 1}', b'[["x\\u0000y"]]'])
def test_a_nul_in_any_text_is_refused(raw):
    with pytest.raises(Refused):
        check_body(raw)


def test_text_that_only_looks_like_a_nul_passes():
    check_body(b'{"password": "\\\\u0000"}')


@given(st.binary(max_size=200))
def test_no_bytes_make_decoding_fail(raw):
    for kind in (CreateUserBody, CreateSessionBody):
        with suppress(Refused):
            assert isinstance(read_body(raw, kind), kind)


async def test_a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not():
    async def endless():
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    for said in (str(BODY_BYTES_MAX + 1), ""):
        with pytest.raises(Refused) as caught:
            await receive_body(said, endless)
        assert caught.value.status == 413


async def test_a_caller_who_hangs_up_in_the_middle_leaves_no_body():
    parts = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return parts.pop(0)

    assert await receive_body("2", receive) is None


def test_a_problem_has_one_shape_and_details_cannot_overwrite_it():
    rejection = Rejection(
        kind="conflict",
        code="email_taken",
        message="It is taken.",
        errors=(FieldError("email", "taken", "It is taken."),),
        details={"status": 200, "owner": "x"},
    )
    body = msgspec.json.decode(problem_body(rejection, 409, "req-1"))
    assert body == {
        "type": "urn:quartermaster:problem:email_taken",
        "title": "Conflict",
        "status": 409,
        "detail": "It is taken.",
        "code": "email_taken",
        "request_id": "req-1",
        "errors": [{"field": "email", "code": "taken", "message": "It is taken."}],
        "owner": "x",
    }
