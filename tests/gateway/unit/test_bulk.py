import string
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.actions.bulk import PASSWORD_CHARS, RowResult, password_from
from services.gateway.actions.bulk_rows import (
    ROWS_MAX,
    BulkUser,
    check_count,
    judge_row,
    read_csv,
    repeated,
)
from services.gateway.actions.bulk_task import result
from services.gateway.http.problems import Refused
from shared.security.rules import check_password


def refused(raw):
    with pytest.raises(Refused) as caught:
        read_csv(raw)
    assert caught.value.status == 400
    return {error.field: error.code for error in caught.value.rejection.errors}


def test_a_table_becomes_rows_and_empty_cells_are_absent():
    raw = (
        b"\xef\xbb\xbfemail,username,projects,sudo_session_enabled,full_name\r\n"
        b'a@example.org,a,p1; p2,TRUE,"Ada, the first"\r\n'
        b"\r\n"
        b"b@example.org,b,,,\r\n"
    )
    first, second = read_csv(raw)
    assert first == {
        "email": "a@example.org",
        "username": "a",
        "projects": ["p1", "p2"],
        "sudo_session_enabled": True,
        "full_name": "Ada, the first",
    }
    assert second == {"email": "b@example.org", "username": "b"}
    assert judge_row(second) == BulkUser(email="b@example.org", username="b")


def test_columns_that_are_unknown_missing_or_there_twice_are_all_named():
    assert refused(b"email,shoe_size,email\nx,4,y\n") == {
        "email": "repeated",
        "shoe_size": "unknown_field",
        "username": "required",
    }


@pytest.mark.parametrize(
    "raw", [b"", b"\n\n", b"email,username\n\xff\xfe,x\n", b"email\0,username\n", b'email,"user']
)
def test_what_is_no_table_is_refused_as_a_whole(raw):
    refused(raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_table(raw):
    rows = []
    with suppress(Refused):
        rows = read_csv(b"email,username,projects,password_change_required\n" + raw)
    for row in rows:
        assert isinstance(judge_row(row), BulkUser | tuple)


def test_a_bad_row_says_why_and_nothing_of_the_others():
    rows = read_csv(
        b"email,username,role,password_change_required\n"
        b"a@example.org,a,king,\n"
        b"b@example.org,b,user,perhaps\n"
        b"c@example.org\n"
        b"d@example.org,d,user,,more\n"
    )
    found = [judge_row(row) for row in rows]
    assert [(error[0].field, error[0].code) for error in found] == [
        ("role", "wrong_type"),
        ("password_change_required", "wrong_type"),
        ("", "columns"),
        ("", "columns"),
    ]


@pytest.mark.parametrize("row", [None, 5, "x", [], {"email": "a"}, {"email": 1, "username": "a"}])
def test_a_row_that_is_no_user_has_reasons(row):
    reasons = judge_row(row)
    assert isinstance(reasons, tuple)
    assert reasons


def test_of_two_rows_with_one_address_the_second_is_refused_whatever_the_case():
    rows = [
        {"email": "A@example.org", "username": "a"},
        {"email": "a@example.org ", "username": "b"},
        {"email": "c@example.org", "username": "B"},
        {"email": 5},
        None,
    ]
    assert {index: error.field for index, error in repeated(rows).items()} == {
        1: "email",
        2: "username",
    }


@pytest.mark.parametrize(("count", "code"), [(0, "required"), (ROWS_MAX + 1, "too_many")])
def test_there_are_some_rows_and_not_too_many(count, code):
    with pytest.raises(Refused) as caught:
        check_count([None] * count)
    assert caught.value.status == 422
    assert caught.value.rejection.errors[0].code == code
    check_count([None] * ROWS_MAX)


@given(st.text())
def test_every_generated_password_meets_the_rule_and_follows_from_its_seed(seed):
    password = password_from(seed)
    assert len(password) == PASSWORD_CHARS
    assert check_password(password) is None
    assert password == password_from(seed)
    assert password != password_from(seed + "x")
    assert not set(password) & set(string.whitespace + "lI1O0,;\"'")


def test_a_result_whose_names_were_shown_is_still_a_result():
    units = [
        {"index": 0, "status": "created", "user_id": "u", "access_key": "AK"},
        {"index": 1, "status": "failed", "errors": [], "email": "x", "password": "p"},
    ]
    found = result(units)
    assert (found["created"], found["failed"]) == (1, 1)
    assert found["results"][0]["email"] is None
    assert "password" not in found["results"][0]
    assert msgspec.convert(found["results"][1], RowResult).password == "p"
