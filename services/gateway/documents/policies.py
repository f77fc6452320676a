"""Resource policies and presets. Null is unlimited everywhere."""

from datetime import datetime

import msgspec

from shared.contracts.policies import LifetimeBase, Unspecified


class KeypairPolicyDocument(msgspec.Struct, kw_only=True):
    """Limits for whoever works with a keypair; times in seconds."""

    id: str
    name: str
    total_resource_slots: dict[str, str | None]
    default_for_unspecified: Unspecified
    max_containers_per_session: int | None
    max_session_lifetime: int | None
    lifetime_base: LifetimeBase
    max_pending_session_count: int | None
    max_pending_session_resource_slots: dict[str, str | None]
    max_concurrent_sessions: int | None
    max_concurrent_sftp_sessions: int | None
    idle_timeout: int | None
    allowed_hosts: dict[str, list[str]]
    max_priority: int | None
    is_default: bool
    created_at: datetime
    modified_at: datetime


class UserPolicyDocument(msgspec.Struct, kw_only=True):
    """Limits of one user across all keypairs; sizes in bytes."""

    id: str
    name: str
    max_folder_count: int | None
    max_quota_scope_size: int | None
    max_session_count_per_model_session: int | None
    max_customized_image_count: int | None
    created_at: datetime
    modified_at: datetime


class ProjectPolicyDocument(msgspec.Struct, kw_only=True):
    """Limits of one project; sizes in bytes."""

    id: str
    name: str
    max_folder_count: int | None
    max_quota_scope_size: int | None
    max_network_count: int | None
    created_at: datetime
    modified_at: datetime


class PresetDocument(msgspec.Struct, kw_only=True):
    """A named request that users may choose; `resource_group` null is for every group."""

    id: str
    name: str
    resource_slots: dict[str, str]
    shared_memory: int | None
    resource_group: str | None
    created_at: datetime
    modified_at: datetime
