"""What is told of events: every type of the language, no secret, amounts as in the API."""

import re
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from services.gateway.api.history import OBJECTS
from services.gateway.api.lists import RESOURCES
from services.gateway.history.amounts import SLOT_FIELDS, render
from services.gateway.history.changes import (
    AGGREGATES,
    PERSONAL,
    assigned,
    knows,
    setters,
    stated_before,
    types_of,
)
from services.gateway.projections.events import HIDDEN
from shared.contracts.base import Limits, Sealed, Slots
from shared.contracts.catalog import SPEAKING

EVENTS = [(item.service, kind) for item in SPEAKING for kind in item.events]
SECRET = re.compile("token|secret|hash|seed|sealed|password(?!_change_required)")
TELLING = {  # what sounds like a secret and is none
    "password_set_by",
}


def structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that a type hint mentions."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for argument in typing.get_args(kind):
        yield from structs(argument)


def fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """Yield every field of a struct, and of those within it, with its type hint."""
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        if typing.get_origin(hint) is typing.ClassVar:
            continue
        yield name, hint
        for inner in structs(hint):
            yield from fields(inner)


def mentions(hint: Any, wanted: Any) -> bool:
    return hint == wanted or any(mentions(part, wanted) for part in typing.get_args(hint))


def sample(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the fields of an event as JSON holds them, each present."""
    return {field.encode_name: f"<{field.name}>" for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    ("service", "kind"), EVENTS, ids=lambda item: getattr(item, "__name__", item)
)
def test_every_event_is_told_without_what_is_hidden(service, kind):
    assert knows(service, kind.__name__)
    told = {item.name for item in assigned(service, kind.__name__, sample(kind), is_first=True)}
    assert not told & set(HIDDEN.get(kind, ()))
    assert not {name for name in told if SECRET.search(name)} - TELLING
    for name in told:
        setting = setters(service, kind.__name__, name)
        assert kind.__name__ in setting.always | setting.maybe, name


def test_whatever_is_sealed_in_an_event_is_personal_or_hidden():
    sealed = {
        (kind, name) for _, kind in EVENTS for name, hint in fields(kind) if mentions(hint, Sealed)
    }
    assert {name for kind, name in sealed if name not in HIDDEN.get(kind, ())} == PERSONAL
    assert {kind.AGGREGATE for kind, name in sealed if name in PERSONAL} == {"user"}


def test_every_amount_in_an_event_is_rendered_as_the_api_does():
    amounts = {
        name
        for _, kind in EVENTS
        for name, hint in fields(kind)
        if mentions(hint, Slots) or mentions(hint, Limits)
    }
    assert amounts == SLOT_FIELDS
    profile = {
        "available_slots": {"cpu": 1500, "mem": 2048},
        "devices": [{"slot": "cuda.device", "amount": 2000}],
    }
    assert render("profile", profile) == {
        "available_slots": {"cpu": "1.5", "mem": "2048"},
        "devices": [{"slot": "cuda.device", "amount": "2"}],
    }
    placement = [{"devices": {"cuda.shares": {"g0": 500}}}]
    assert render("placements", placement) == [{"devices": {"cuda.shares": {"g0": "0.5"}}}]


def test_a_field_is_set_by_every_event_that_assigns_it_and_by_no_other():
    status = setters("users", "UserDeactivated", "status")
    assert status.always == {"UserCreated", "UserActivated", "UserDeactivated"}
    name = setters("users", "UserProfileChanged", "username")
    assert (name.always, name.maybe) == ({"UserCreated"}, {"UserProfileChanged"})
    role = setters("users", "ProjectMemberRemoved", "role")
    assert role.always == {"ProjectMemberAdded", "ProjectMemberRoleSet", "ProjectMemberRemoved"}
    kernel = setters("scheduler", "KernelTerminated", "status")
    assert kernel.always == {"KernelStarted", "KernelTerminated"}


def test_what_identifies_an_object_is_told_once():
    data = {"access_key": "A", "user_id": "u1", "resource_policy": "p"}
    later = assigned("users", "KeypairPolicyAssigned", data)
    assert [item.name for item in later] == ["resource_policy"]
    first = assigned("users", "KeypairIssued", {**data, "is_main": True}, is_first=True)
    assert {"access_key", "user_id", "is_main"} <= {item.name for item in first}


def test_a_switch_says_itself_what_was_there_before():
    data = {"user_id": "u1", "access_key": "B", "previous": "A"}
    assert stated_before("users", "UserMainKeypairSwitched", data) == {"main_access_key": "A"}
    switched = assigned("users", "UserMainKeypairSwitched", data)
    assert [(item.name, item.value) for item in switched] == [("main_access_key", "B")]


def test_every_list_of_objects_has_timelines():
    assert OBJECTS.keys() == RESOURCES.keys()
    told = {(service, aggregate) for _, service, aggregate in OBJECTS.values()}
    for service, aggregate in told:
        assert types_of(service, aggregate), aggregate
    assert {kind.AGGREGATE for _, kind in EVENTS} == set(AGGREGATES)
