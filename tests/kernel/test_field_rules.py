"""The rules that fields of several services share."""

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from shared.kernel.changes import differing
from shared.kernel.hosts import HOSTS_MAX, PERMISSIONS, host_errors
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, all_invalid


class Wish(msgspec.Struct):
    name: str | UnsetType = UNSET
    limit: int | UnsetType | None = UNSET


@pytest.mark.parametrize("name", ["a", "x" * 8, "연구 정책", "a.b", "...", "🧪"])
def test_a_name_in_any_script_is_fine(name: str) -> None:
    assert not list(name_errors(name, 8))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "length"),
        ("x" * 9, "length"),
        *[(bad, "characters") for bad in ("a/b", " a", "a ", "a\nb", "\x00", ".", "..")],
    ],
)
def test_a_name_that_can_not_stand_in_a_path_is_refused(name: str, code: str) -> None:
    assert [(error.field, error.code) for error in name_errors(name, 8)] == [("name", code)]


def test_hosts_are_named_with_what_may_be_done_there() -> None:
    assert not list(host_errors(UNSET))
    assert not list(host_errors({}))
    assert not list(host_errors({"local": tuple(sorted(PERMISSIONS)), "nas": ()}))
    many = {f"h{number}": () for number in range(HOSTS_MAX + 1)}
    assert [error.code for error in host_errors(many)] == ["too_many"]
    wrong = host_errors({"": (), "a\n": (), "nas": ("fly", "upload-file", "upload-file")})
    assert [(error.field, error.code) for error in wrong] == [
        ("allowed_hosts", "host_name"),
        ("allowed_hosts", "host_name"),
        ("allowed_hosts.nas", "repeated"),
        ("allowed_hosts.nas", "unknown_permission"),
    ]


def test_only_what_is_given_and_not_so_already_differs() -> None:
    before = Wish(name="a", limit=3)
    assert differing(before, Wish(), "name", "limit") == {}
    assert differing(before, Wish(name="a", limit=None), "name", "limit") == {"limit": None}
    assert differing(before, Wish(name="b", limit=None), "name") == {"name": "b"}


def test_a_rule_with_a_name_gives_it_to_the_refusal_when_nothing_else_is_wrong() -> None:
    named, other = FieldError("a", "full", "Full."), FieldError("b", "odd", "Odd.")
    rules = frozenset({"full", "late"})
    assert all_invalid((named, named), rules).code == "full"
    assert all_invalid((named, other), rules).code == "invalid_request"
    assert all_invalid((named, FieldError("c", "late", "Late.")), rules).code == "invalid_request"
    assert all_invalid((named,)).code == "invalid_request"
    assert all_invalid((named, other), rules).message == "Full. Odd."
