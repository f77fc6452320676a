"""What the events of the policies service make of its documents: a pure fold of a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    PresetDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.documents.settings import SettingDocument
from services.gateway.projections.limits import (
    keypair_policy,
    preset,
    project_policy,
    user_policy,
)
from shared.contracts.base import Event
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    PresetChanged,
    PresetDefined,
    PresetDeleted,
    ProjectPolicyChanged,
    ProjectPolicyCreated,
    ProjectPolicyDeleted,
    SettingChanged,
    SettingReset,
    UserPolicyChanged,
    UserPolicyCreated,
    UserPolicyDeleted,
)
from shared.eventlog.records import Recorded
from shared.kernel.slots import render_limits, render_slots


@dataclass
class Batch:
    """The documents that a batch of events touches, by id."""

    keypair_policies: dict[str, KeypairPolicyDocument] = field(default_factory=dict)
    user_policies: dict[str, UserPolicyDocument] = field(default_factory=dict)
    project_policies: dict[str, ProjectPolicyDocument] = field(default_factory=dict)
    presets: dict[str, PresetDocument] = field(default_factory=dict)
    settings: dict[str, SettingDocument] = field(default_factory=dict)


def touched(events: Iterable[Recorded]) -> dict[str, set[str]]:
    """Return the keys of the objects that events are about, by aggregate."""
    found: dict[str, set[str]] = {}
    for recorded in events:
        event = recorded.event
        found.setdefault(event.AGGREGATE, set()).add(event.key())
    return found


def fold(batch: Batch, recorded: Recorded) -> None:
    """Fold one event into the documents of a batch."""
    event, at = recorded.event, recorded.recorded_at
    match event:
        case KeypairPolicyCreated():
            batch.keypair_policies[event.name] = keypair_policy(event, at)
        case KeypairPolicyChanged():
            _change(batch.keypair_policies[event.name], event, at)
        case KeypairPolicyDeleted():
            del batch.keypair_policies[event.name]
        case UserPolicyCreated():
            batch.user_policies[event.name] = user_policy(event, at)
        case UserPolicyChanged():
            _change(batch.user_policies[event.name], event, at)
        case UserPolicyDeleted():
            del batch.user_policies[event.name]
        case ProjectPolicyCreated():
            batch.project_policies[event.name] = project_policy(event, at)
        case ProjectPolicyChanged():
            _change(batch.project_policies[event.name], event, at)
        case ProjectPolicyDeleted():
            del batch.project_policies[event.name]
        case _:
            _fold_rest(batch, recorded)


def _fold_rest(batch: Batch, recorded: Recorded) -> None:
    event, at = recorded.event, recorded.recorded_at
    match event:
        case PresetDefined():
            batch.presets[event.preset_id] = preset(event, at)
        case PresetChanged():
            _change(batch.presets[event.preset_id], event, at)
        case PresetDeleted():
            del batch.presets[event.preset_id]
        case SettingChanged() | SettingReset():
            is_set = isinstance(event, SettingChanged)
            batch.settings[event.setting] = SettingDocument(
                id=event.setting,
                value=event.value if isinstance(event, SettingChanged) else None,
                is_set=is_set,
                changed_at=at,
                changed_by=recorded.meta.actor.id,
            )


def _change(document: Any, event: Event, at: datetime) -> None:
    """Take over whatever an event says: its fields are called as those of the document."""
    for item in msgspec.structs.fields(type(event)):
        value = getattr(event, item.name)
        if value is not UNSET and item.default is UNSET:
            setattr(document, item.name, _shown(item.name, value))
    document.modified_at = at


def _shown(name: str, value: Any) -> Any:
    if name == "resource_slots":
        return render_slots(value)
    if name == "allowed_hosts":
        return {host: list(permissions) for host, permissions in value.items()}
    return render_limits(value) if isinstance(value, Mapping) else value
