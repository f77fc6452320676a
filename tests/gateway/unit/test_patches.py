import msgspec
import pytest
from msgspec import UNSET, UnsetType

from services.gateway.actions.limits import patched_hosts, patched_limits
from services.gateway.actions.users import READ_ONLY, PatchUserBody
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given, read_patch
from services.gateway.http.problems import Refused


class Patch(Body, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    text: str | UnsetType | None = UNSET
    limit: int | UnsetType | None = UNSET


def sent(content, kind="application/merge-patch+json"):
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Call(
        request_id="r",
        method="PATCH",
        path="/",
        query="",
        headers={"content-type": kind},
        client_address=None,
        body=body,
    )


def refusal(content, kind=Patch, read_only=frozenset({"id", "created_at"})):
    with pytest.raises(Refused) as caught:
        read_patch(sent(content), kind, read_only)
    return caught.value.status, [
        (error.field, error.code) for error in caught.value.rejection.errors
    ]


def test_what_is_absent_is_unset_and_null_is_null():
    assert read_patch(sent({}), Patch, ()) == Patch()
    found = read_patch(sent({"text": None, "limit": 5}), Patch, ())
    assert (found.name, found.text, found.limit) == (UNSET, None, 5)


def test_every_field_that_cannot_be_changed_is_named_at_once():
    patch = {"id": "x", "nmae": "y", "name": None, "text": "fine", "created_at": None}
    status, errors = refusal(patch)
    assert status == 422
    assert errors == [
        ("id", "read_only"),
        ("nmae", "unknown_field"),
        ("name", "required"),
        ("created_at", "read_only"),
    ]


@pytest.mark.parametrize("content", [[], "text", 5, None, True])
def test_a_patch_is_an_object(content):
    assert refusal(content)[0] == 400


def test_a_wrong_type_is_malformed_and_named():
    assert refusal({"limit": "5"}) == (400, [("limit", "wrong_type")])


def test_a_patch_needs_a_type_that_is_json():
    with pytest.raises(Refused) as caught:
        read_patch(sent({}, "text/plain"), Patch, ())
    assert caught.value.status == 415


def test_the_fields_of_a_user_are_changed_or_refused_by_name():
    for name in READ_ONLY:
        assert refusal({name: "x"}, PatchUserBody, READ_ONLY) == (422, [(name, "read_only")])
    assert not READ_ONLY & set(PatchUserBody.__struct_fields__)


def test_null_gives_a_text_its_empty_form_and_leaves_unset_alone():
    assert given(None, "") == ""
    assert given(UNSET, "") is UNSET
    assert given("x", "") == "x"


DOCUMENT = {
    "total_resource_slots": {"cpu": "4", "mem": str(2**30)},
    "allowed_hosts": {"local": ["read", "write"], "fast": ["read"]},
}


def test_limits_are_merged_slot_by_slot_and_a_null_is_unlimited():
    assert patched_limits(DOCUMENT, UNSET) is UNSET
    assert patched_limits(DOCUMENT, {"cpu": None, "gpu": 2}) == {"mem": 2**30, "gpu": 2000}
    assert patched_limits(DOCUMENT, None) == {}
    with pytest.raises(Refused) as caught:
        patched_limits(DOCUMENT, {"cpu": "many", "mem": -1})
    fields = {error.field for error in caught.value.rejection.errors}
    assert fields == {"total_resource_slots.cpu", "total_resource_slots.mem"}


def test_hosts_are_merged_one_by_one_and_a_null_takes_one_away():
    assert patched_hosts(DOCUMENT, UNSET) is UNSET
    assert patched_hosts(DOCUMENT, {"fast": None, "local": ["read"]}) == {"local": ("read",)}
    assert patched_hosts(DOCUMENT, None) == {}
