"""Policies, presets and settings as documents: everything that events say, and nothing else."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import UNSET

from services.gateway.documents import policies as documents
from services.gateway.projections.policies_fold import Batch, fold
from shared.contracts import policies
from shared.contracts.base import Actor, Meta
from shared.eventlog.records import Recorded

START = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = {
    policies.KeypairPolicyChanged: documents.KeypairPolicyDocument,
    policies.UserPolicyChanged: documents.UserPolicyDocument,
    policies.ProjectPolicyChanged: documents.ProjectPolicyDocument,
    policies.PresetChanged: documents.PresetDocument,
}


def folded(*events):
    batch = Batch()
    for number, event in enumerate(events, start=1):
        recorded = Recorded(
            position=number,
            stream=f"{event.AGGREGATE}-{event.key()}",
            version=number,
            type=type(event).__name__,
            schema_version=1,
            event=event,
            meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
            event_id=str(number),
            recorded_at=START + timedelta(seconds=number),
        )
        fold(batch, recorded)
    return batch


@pytest.mark.parametrize(("change", "document"), CHANGES.items(), ids=lambda kind: kind.__name__)
def test_whatever_can_change_is_in_the_document(change, document):
    changeable = {item.name for item in msgspec.structs.fields(change) if item.default is UNSET}
    assert changeable <= {item.name for item in msgspec.structs.fields(document)}


def test_a_change_replaces_what_it_names_as_the_api_shows_it():
    batch = folded(
        policies.KeypairPolicyCreated(name="p", max_priority=3, idle_timeout=60),
        policies.KeypairPolicyChanged(
            name="p",
            total_resource_slots={"cpu": 1500, "mem": None},
            allowed_hosts={"local": ("mount-in-session",)},
            max_priority=None,
            is_default=True,
        ),
    )
    shown = batch.keypair_policies["p"]
    assert shown.total_resource_slots == {"cpu": "1.5", "mem": None}
    assert shown.allowed_hosts == {"local": ["mount-in-session"]}
    assert (shown.max_priority, shown.idle_timeout, shown.is_default) == (None, 60, True)
    assert shown.created_at < shown.modified_at


def test_what_was_deleted_is_gone_and_can_be_there_again():
    batch = folded(
        policies.UserPolicyCreated(name="p", max_folder_count=1),
        policies.UserPolicyDeleted(name="p"),
        policies.ProjectPolicyCreated(name="p"),
        policies.ProjectPolicyDeleted(name="p"),
        policies.PresetDefined(preset_id="1", name="s", resource_slots={"cpu": 1000}),
        policies.PresetChanged(preset_id="1", resource_slots={"cpu": 2000}),
        policies.PresetDeleted(preset_id="1"),
        policies.UserPolicyCreated(name="p", max_folder_count=2),
    )
    assert batch.user_policies["p"].max_folder_count == 2
    assert not batch.project_policies
    assert not batch.presets


def test_a_setting_that_was_reset_remembers_who_did_it():
    batch = folded(
        policies.SettingChanged(setting="overlay_mtu", value=9000),
        policies.SettingReset(setting="overlay_mtu"),
    )
    shown = batch.settings["overlay_mtu"]
    assert (shown.is_set, shown.changed_by) == (False, "root")
    assert shown.changed_at == START + timedelta(seconds=2)
