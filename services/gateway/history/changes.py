"""What an event changed, field by field: found from the published language, not told by hand.

An event assigns its fields to its object; the name of some events says more (`UserDeactivated`
assigns a status), and some are about one part of it (a kernel, a member). What a field held before
is what the last earlier event that assigned it said: `setters` tells which types those are.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from services.gateway.projections.events import HIDDEN
from shared.contracts import agents, policies, scheduler, users
from shared.contracts.base import Event
from shared.contracts.catalog import SPEAKING
from shared.contracts.users.retirement import PolicyReinstated, PolicyRetired

# what is said of a person, sealed under that person's key
PERSONAL: Final = frozenset({"email", "username", "full_name", "description"})
_IDENTITY: Final = MappingProxyType(
    {
        "user": frozenset({"user_id"}),
        "keypair": frozenset({"access_key", "user_id"}),
        "login": frozenset({"login_id", "user_id"}),
        "domain": frozenset({"name"}),
        "project": frozenset({"project_id"}),
        "session": frozenset({"session_id"}),
        "resource-group": frozenset({"name"}),
        "agent": frozenset({"agent_id"}),
        "image": frozenset({"canonical", "architecture"}),
        "keypair-policy": frozenset({"name"}),
        "user-policy": frozenset({"name"}),
        "project-policy": frozenset({"name"}),
        "preset": frozenset({"preset_id"}),
        "settings": frozenset(),
        "usage": frozenset(),
        "policy-name": frozenset({"kind", "name", "created"}),
    }
)
_IMPLIED: Final[Mapping[type[Event], dict[str, Any]]] = MappingProxyType(
    {
        users.UserActivated: {"status": "active"},
        users.UserDeactivated: {"status": "inactive"},
        users.UserTotpEnabled: {"totp_enabled": True},
        users.UserTotpDisabled: {"totp_enabled": False},
        users.UserErased: {"erased": True},
        users.KeypairActivated: {"status": "active"},
        users.KeypairDeactivated: {"status": "inactive"},
        users.KeypairDeleted: {"deleted": True},
        users.ProjectMemberRemoved: {"role": None},
        PolicyRetired: {"retired": True},
        PolicyReinstated: {"retired": False},
        policies.KeypairPolicyCreated: {"deleted": False},
        policies.KeypairPolicyDeleted: {"deleted": True},
        policies.UserPolicyCreated: {"deleted": False},
        policies.UserPolicyDeleted: {"deleted": True},
        policies.ProjectPolicyCreated: {"deleted": False},
        policies.ProjectPolicyDeleted: {"deleted": True},
        policies.PresetDeleted: {"deleted": True},
        policies.SettingReset: {"value": None},
        scheduler.ResourceGroupCreated: {"deleted": False},
        scheduler.ResourceGroupDeleted: {"deleted": True},
        scheduler.SessionEnqueued: {"status": "PENDING"},
        scheduler.SessionScheduled: {"status": "SCHEDULED"},
        scheduler.SessionPreparing: {"status": "PREPARING"},
        scheduler.SessionStarted: {"status": "RUNNING"},
        scheduler.SessionRestarting: {"status": "RESTARTING"},
        scheduler.SessionRestarted: {"status": "SCHEDULED"},
        scheduler.SessionTerminating: {"status": "TERMINATING"},
        scheduler.SessionTerminated: {"status": "TERMINATED"},
        scheduler.SessionCancelled: {"status": "CANCELLED"},
        scheduler.SessionFailed: {"status": "ERROR"},
        scheduler.KernelStarted: {"status": "RUNNING"},
        scheduler.KernelTerminated: {"status": "TERMINATED"},
        agents.AgentConnected: {"status": "ALIVE"},
        agents.AgentLost: {"status": "LOST"},
        agents.AgentRevived: {"status": "ALIVE"},
        agents.AgentTerminated: {"status": "TERMINATED"},
    }
)
_RENAMED: Final[Mapping[type[Event], dict[str, str | None]]] = MappingProxyType(
    {
        users.UserMainKeypairSwitched: {"access_key": "main_access_key", "previous": None},
        users.UserLoginBlocked: {"until": "login_blocked_until"},
        users.UserPasswordSet: {"by": "password_set_by"},
        users.UserTotpDisabled: {"by": "totp_disabled_by"},
    }
)
_DELETED: Final = "deleted"
# events that say themselves what was there before, which another object's events had assigned
_STATED: Final[Mapping[type[Event], dict[str, str]]] = MappingProxyType(
    {users.UserMainKeypairSwitched: {"main_access_key": "previous"}}
)
_PARTS: Final[Mapping[type[Event], tuple[str, str]]] = MappingProxyType(
    {
        users.ProjectMemberAdded: ("members", "user_id"),
        users.ProjectMemberRoleSet: ("members", "user_id"),
        users.ProjectMemberRemoved: ("members", "user_id"),
        policies.SettingChanged: ("settings", "setting"),
        policies.SettingReset: ("settings", "setting"),
        scheduler.KernelStarted: ("kernels", "kernel_id"),
        scheduler.KernelTerminated: ("kernels", "kernel_id"),
    }
)


class _Shape(NamedTuple):
    """How events of one type assign: `fields` by their name in the event to the object's name."""

    aggregate: str
    fields: Mapping[str, str]
    optional: frozenset[str]
    implied: Mapping[str, Any]
    stated: Mapping[str, str]
    part: tuple[str, str] | None
    identity: frozenset[str]


class Setters(NamedTuple):
    """The types of events that assign a field: always, or only when `field` is in the event."""

    always: frozenset[str]
    maybe: frozenset[str]
    field: str


class Assigned(NamedTuple):
    """One field that an event assigned; `part` is of which kernel or member, if of any."""

    name: str
    part: str | None
    value: Any


def _shape(kind: type[Event]) -> _Shape:
    renamed = _RENAMED.get(kind, {})
    part = _PARTS.get(kind)
    left_out = {*HIDDEN.get(kind, ()), *((part[1],) if part else ())}
    fields = {item.name: item for item in msgspec.structs.fields(kind)}
    shown = {
        name: renamed.get(name, name)
        for name in fields
        if name not in left_out and renamed.get(name, name) is not None
    }
    return _Shape(
        aggregate=kind.AGGREGATE,
        fields={name: str(path) for name, path in shown.items()},
        optional=frozenset(name for name in shown if fields[name].default is UNSET),
        implied=_IMPLIED.get(kind, {}),
        stated=_STATED.get(kind, {}),
        part=part,
        identity=_IDENTITY[kind.AGGREGATE] - renamed.keys(),
    )


_SHAPES: Final[Mapping[tuple[str, str], _Shape]] = {
    (vocabulary.service, kind.__name__): _shape(kind)
    for vocabulary in SPEAKING
    for kind in vocabulary.events
}


def knows(service: str, event_type: str) -> bool:
    """Tell whether this release can tell what events of a type changed."""
    return (service, event_type) in _SHAPES


def assigned(
    service: str, event_type: str, data: Mapping[str, Any], *, is_first: bool = False
) -> list[Assigned]:
    """Return what an event assigned; only the first of an object tells what identifies it."""
    shape = _SHAPES[service, event_type]
    part = str(data[shape.part[1]]) if shape.part is not None else None
    found = {
        path: data[name]
        for name, path in shape.fields.items()
        if name in data and (is_first or name not in shape.identity)
    }
    found.update(_implied(shape, event_type, data))
    if is_first and found.get(_DELETED) is False:
        del found[_DELETED]  # worth telling only of one that is there again
    return [Assigned(name, part, value) for name, value in found.items()]


def _implied(shape: _Shape, event_type: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    if event_type == agents.AgentTerminated.__name__ and data.get("reason") == "restarting":
        return {"status": "RESTARTING"}
    if event_type == policies.SettingReset.__name__:
        return {"value": untouched(data)}
    return shape.implied


def untouched(data: Mapping[str, Any]) -> Any:
    """Return what the field of an event held before any event assigned it: a setting's default."""
    known = policies.SETTINGS.get(data.get("setting", ""))
    return None if known is None else known.default


def stated_before(service: str, event_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event says itself about what was there before it."""
    shape = _SHAPES[service, event_type]
    return {name: data.get(field) for name, field in shape.stated.items()}


def setters(service: str, event_type: str, name: str) -> Setters:
    """Return which types of events of the same object assign the field as this type does."""
    known = _setters.get((service, event_type, name))
    if known is None:
        known = _setters[service, event_type, name] = _find_setters(service, event_type, name)
    return known


_setters: Final[dict[tuple[str, str, str], Setters]] = {}


def _find_setters(service: str, event_type: str, name: str) -> Setters:
    mine = _SHAPES[service, event_type]
    always: set[str] = set()
    maybe: set[str] = set()
    raw = name
    for (other_service, other), shape in _SHAPES.items():
        is_alike = other_service == service and shape.aggregate == mine.aggregate
        if not is_alike or (shape.part or ("",))[0] != (mine.part or ("",))[0]:
            continue
        fields = [field for field, path in shape.fields.items() if path == name]
        if name in shape.implied or any(field not in shape.optional for field in fields):
            always.add(other)
        elif fields:
            maybe.add(other)
            raw = fields[0]
    return Setters(frozenset(always), frozenset(maybe), raw)


def part_of(service: str, event_type: str) -> tuple[str, str] | None:
    """Return what a part is called and which field of the event names it."""
    return _SHAPES[service, event_type].part


def types_of(service: str | None = None, aggregate: str | None = None) -> frozenset[str]:
    """Return all types of events, of one service or of one kind of objects."""
    return frozenset(
        event_type
        for (of_service, event_type), shape in _SHAPES.items()
        if service in {None, of_service} and aggregate in {None, shape.aggregate}
    )


AGGREGATES: Final = tuple(sorted(_IDENTITY))
SERVICES: Final = tuple(vocabulary.service for vocabulary in SPEAKING)
