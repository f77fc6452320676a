"""Resource policies, presets and settings as documents: their tables, and how each begins."""

from datetime import datetime
from typing import Final

from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    PresetDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.documents.settings import SettingDocument
from services.gateway.projections.tables import Column, DocumentTable, times
from services.gateway.projections.versions import VersionedTable
from shared.contracts.policies import (
    KeypairPolicyCreated,
    PresetDefined,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.kernel.slots import render_limits, render_slots

KEYPAIR_POLICIES: Final = VersionedTable(
    "keypair_policies",
    KeypairPolicyDocument,
    (
        Column("name", "text", lambda policy: policy.name),
        Column("is_default", "boolean", lambda policy: policy.is_default),
        Column("default_for_unspecified", "text", lambda policy: policy.default_for_unspecified),
        *times(),
    ),
)
USER_POLICIES: Final = VersionedTable(
    "user_policies",
    UserPolicyDocument,
    (Column("name", "text", lambda policy: policy.name), *times()),
)
PROJECT_POLICIES: Final = VersionedTable(
    "project_policies",
    ProjectPolicyDocument,
    (Column("name", "text", lambda policy: policy.name), *times()),
)
PRESETS: Final = VersionedTable(
    "presets",
    PresetDocument,
    (
        Column("name", "text", lambda preset: preset.name),
        Column("resource_group", "text", lambda preset: preset.resource_group or ""),
        *times(),
    ),
)
SETTINGS: Final = DocumentTable("settings", SettingDocument, ())


def keypair_policy(event: KeypairPolicyCreated, at: datetime) -> KeypairPolicyDocument:
    """Return a new keypair policy's document."""
    return KeypairPolicyDocument(
        id=event.name,
        name=event.name,
        total_resource_slots=render_limits(event.total_resource_slots),
        default_for_unspecified=event.default_for_unspecified,
        max_containers_per_session=event.max_containers_per_session,
        max_session_lifetime=event.max_session_lifetime,
        lifetime_base=event.lifetime_base,
        max_pending_session_count=event.max_pending_session_count,
        max_pending_session_resource_slots=render_limits(event.max_pending_session_resource_slots),
        max_concurrent_sessions=event.max_concurrent_sessions,
        max_concurrent_sftp_sessions=event.max_concurrent_sftp_sessions,
        idle_timeout=event.idle_timeout,
        allowed_hosts={host: list(allowed) for host, allowed in event.allowed_hosts.items()},
        max_priority=event.max_priority,
        is_default=event.is_default,
        created_at=at,
        modified_at=at,
    )


def user_policy(event: UserPolicyCreated, at: datetime) -> UserPolicyDocument:
    """Return a new user policy's document."""
    return UserPolicyDocument(
        id=event.name,
        name=event.name,
        max_folder_count=event.max_folder_count,
        max_quota_scope_size=event.max_quota_scope_size,
        max_session_count_per_model_session=event.max_session_count_per_model_session,
        max_customized_image_count=event.max_customized_image_count,
        created_at=at,
        modified_at=at,
    )


def project_policy(event: ProjectPolicyCreated, at: datetime) -> ProjectPolicyDocument:
    """Return a new project policy's document."""
    return ProjectPolicyDocument(
        id=event.name,
        name=event.name,
        max_folder_count=event.max_folder_count,
        max_quota_scope_size=event.max_quota_scope_size,
        max_network_count=event.max_network_count,
        created_at=at,
        modified_at=at,
    )


def preset(event: PresetDefined, at: datetime) -> PresetDocument:
    """Return a new preset's document."""
    return PresetDocument(
        id=event.preset_id,
        name=event.name,
        resource_slots=render_slots(event.resource_slots),
        shared_memory=event.shared_memory,
        resource_group=event.resource_group,
        created_at=at,
        modified_at=at,
    )
