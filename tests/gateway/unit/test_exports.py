"""CSV: what is in a cell, which columns there are, and what a file may be called."""

import asyncio
import csv
import io
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.auth.authenticator import NOT_AUTHENTICATED
from services.gateway.exports.asked import (
    content_disposition,
    read_asked,
    read_filename,
    select,
)
from services.gateway.exports.cells import lines, text
from services.gateway.exports.columns import cells, header, ordinary
from services.gateway.exports.download import Download
from services.gateway.exports.kinds import EVENTS, KINDS
from services.gateway.exports.reading import AT_ONCE, OF_ONE, Exports
from services.gateway.http.problems import Refused
from shared.kernel.rejections import Rejection

NOW = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)
POLICIES = KINDS["keypair-policies"]
texts = st.text(st.characters(exclude_categories=["Cs"]))


def rendered(kind, names, document):
    columns = select(kind.columns, names)
    assert not isinstance(columns, Rejection), columns
    return cells(columns, document)


@given(st.lists(st.lists(texts, min_size=1), min_size=1))
def test_whatever_a_text_holds_a_reader_of_csv_gets_it_back(rows):
    found = lines(rows).decode()
    assert list(csv.reader(io.StringIO(found, newline=""), strict=True)) == rows
    assert found.endswith("\r\n")


@given(texts)
def test_no_text_begins_like_a_formula_and_all_else_stays_as_it_is(given_text):
    shown = text(given_text)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown in {given_text, f"'{given_text}"}


def test_a_formula_gets_an_apostrophe_and_a_number_none():
    document = {"name": "=cmd|' /C calc'!A0", "max_folder_count": -5}
    row = rendered(KINDS["user-policies"], ["name", "max_folder_count"], document)
    assert row == ["'=cmd|' /C calc'!A0", "-5"]


def test_commas_quotes_and_line_ends_are_quoted_as_rfc_4180_says():
    assert lines([["a,b", 'say "x"', "two\r\nlines", "plain", ""]]) == (
        b'"a,b","say ""x""","two\r\nlines",plain,\r\n'
    )


def test_a_limit_that_is_null_is_unlimited_and_what_is_not_named_is_empty():
    document = {
        "total_resource_slots": {"cpu": "4", "mem": None},
        "idle_timeout": None,
        "max_priority": 0,
    }
    slots = [f"total_resource_slots.{slot}" for slot in ("cpu", "mem", "cuda.shares")]
    row = rendered(POLICIES, [*slots, "idle_timeout", "max_priority"], document)
    assert row == ["4", "unlimited", "", "unlimited", "0"]
    whole = rendered(POLICIES, ["total_resource_slots"], document)
    assert whole == ["cpu=4 mem=unlimited"]


def test_flags_lists_times_and_what_is_erased_have_their_form():
    document = {"email": None, "projects": ["p1", "p2"], "erased": True, "totp_enabled": False}
    names = ["email", "projects", "erased", "totp_enabled", "last_login_at"]
    assert rendered(KINDS["users"], names, document) == ["", "p1;p2", "true", "false", ""]


def test_parts_of_objects_are_columns_of_their_own():
    document = {
        "times": {"created_at": "2026-01-01T00:00:00Z"},
        "command": ["sh", "-c", "a;b"],
        "exit_code": None,
        "status_history": {"PENDING": "2026-01-01T00:00:00Z"},
    }
    names = ["times.created_at", "command", "exit_code", "status_history.PENDING"]
    time = "2026-01-01T00:00:00Z"
    assert rendered(KINDS["sessions"], names, document) == [time, '["sh","-c","a;b"]', "", time]


def test_the_ordinary_columns_have_one_for_each_slot_and_none_that_is_hidden():
    names = header(ordinary(KINDS["sessions"].columns, KINDS["sessions"].hidden, ["cpu", "mem"]))
    assert {"requested.cpu", "requested.mem", "user_email", "position"} <= set(names)
    assert not {"kernels", "resources", "resources.cpu", "status_history"} & set(names)
    assert header(EVENTS.values())[:4] == ["position", "service", "type", "at"]
    assert {"actor.id", "actor.name", "changes"} <= set(EVENTS)


def test_what_is_allowed_on_hosts_is_one_column_and_one_for_a_host_that_is_named():
    ordinarily = header(ordinary(POLICIES.columns, frozenset(), ["cpu"]))
    assert [name for name in ordinarily if name.startswith("allowed_hosts")] == ["allowed_hosts"]
    document = {"allowed_hosts": {"local": ["upload-file", "download-file"]}}
    assert rendered(POLICIES, ["allowed_hosts", "allowed_hosts.local"], document) == [
        '{"local":["upload-file","download-file"]}',
        "upload-file;download-file",
    ]


def test_no_column_of_any_export_is_a_secret():
    names = {name for kind in KINDS.values() for name in kind.columns}
    assert not {name for name in names if "secret" in name or "password" in name} - {
        "password_change_required"
    }


@pytest.mark.parametrize("name", ["nope", "", "total_resource_slots.", "email.x", "secret_key"])
def test_a_column_that_there_is_not_is_refused_with_those_that_there_are(name):
    found = select(POLICIES.columns, ["name", name])
    assert isinstance(found, Rejection)
    assert (found.kind, found.errors[0].field) == ("malformed", "columns")
    assert "max_priority" in found.message


def test_columns_and_filename_are_taken_out_and_the_list_s_own_is_left():
    asked = read_asked("users", "status=active&columns=id,email&sort=-email&filename=a b", NOW)
    assert asked == (("id", "email"), "a b.csv", "status=active&sort=-email")
    assert read_asked("users", "", NOW) == (None, "users_2026-01-31_23-59-58.csv", "")


@pytest.mark.parametrize(
    "query",
    [
        "limit=5",
        "offset=1",
        "cursor=x",
        "columns=id&columns=email",
        "columns=id,id",
        "filename=a&filename=b",
        "filename=",
    ],
)
def test_pages_and_repetitions_are_refused(query):
    found = read_asked("users", query, NOW)
    assert isinstance(found, Rejection)
    assert found.kind == "malformed"


def test_a_file_is_called_by_up_to_255_characters():
    assert read_filename("é" * 251 + ".csv") == "é" * 251 + ".csv"
    assert read_filename("a" * 255) == "a" * 255 + ".csv"
    assert isinstance(read_filename("a" * 256), Rejection)
    assert read_filename("Report.CSV") == "Report.CSV"


@pytest.mark.parametrize(
    "name",
    ["a/b", "..\\x", "a:b", "a*", "a?", 'a"b', "<x>", "a|b", "a\nb", "a\x7f", "..", "\u202ea"],
)
def test_a_name_that_leads_elsewhere_or_deceives_is_refused(name):
    assert isinstance(read_filename(name), Rejection)


def test_a_name_that_is_not_ascii_is_sent_in_both_forms():
    assert content_disposition("plain 1.csv") == 'attachment; filename="plain 1.csv"'
    assert content_disposition("사용자 100%.csv") == (
        'attachment; filename="___ 100_.csv"; '
        "filename*=UTF-8''%EC%82%AC%EC%9A%A9%EC%9E%90%20100%25.csv"
    )


class Caller:
    """Takes an answer piece by piece, and hangs up when told to."""

    def __init__(self):
        self.messages = []
        self.taken = asyncio.Event()
        self.leaving = asyncio.Event()

    async def send(self, message):
        self.messages.append(message)
        self.taken.set()

    async def receive(self):
        await self.leaving.wait()
        return {"type": "http.disconnect"}


async def test_whoever_hangs_up_ends_what_is_made_for_them():
    ended = asyncio.Event()

    async def pieces():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    caller = Caller()
    sending = asyncio.create_task(Download(pieces, "a.csv")({}, caller.receive, caller.send))
    await caller.taken.wait()
    caller.leaving.set()
    await sending
    assert ended.is_set()
    assert all(message.get("more_body", True) for message in caller.messages)


@pytest.mark.parametrize("problem", [ConnectionResetError("gone"), Refused(NOT_AUTHENTICATED)])
async def test_what_breaks_off_has_no_end_that_looks_like_one(problem):
    async def pieces():
        yield b"first"
        raise problem

    caller = Caller()
    await Download(pieces, "a.csv")({}, caller.receive, caller.send)
    assert [m["body"] for m in caller.messages[1:]] == [b"first"]
    assert caller.messages[-1]["more_body"] is True


async def test_a_bug_breaks_an_answer_off_and_is_told():
    async def pieces():
        yield b"first"
        raise KeyError("a bug of ours")

    caller = Caller()
    with pytest.raises(KeyError):
        await Download(pieces, "a.csv")({}, caller.receive, caller.send)
    assert caller.messages[-1]["more_body"] is True


def test_one_person_takes_not_all_the_places_and_everybody_not_more_than_there_are():
    exports = Exports("", None)
    with ExitStack() as taken:
        for number in range(AT_ONCE):
            taken.enter_context(exports.place(f"u{number // OF_ONE}"))
        with pytest.raises(Refused) as mine, exports.place("u0"):
            pass
        with pytest.raises(Refused) as all_are, exports.place("other"):
            pass
    assert (mine.value.status, all_are.value.status) == (429, 503)
    assert mine.value.rejection.retry_after_s
    with exports.place("u0"), exports.place("other"):
        pass


async def test_what_cannot_begin_has_sent_nothing():
    async def pieces():
        raise ConnectionRefusedError("no database")
        yield b""

    caller = Caller()
    with pytest.raises(ConnectionRefusedError):
        await Download(pieces, "a.csv")({}, caller.receive, caller.send)
    assert caller.messages == []
