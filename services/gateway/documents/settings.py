"""System settings: what each is, and what it may be."""

from datetime import datetime
from typing import Any

import msgspec

from shared.contracts.policies import SettingValue
from shared.contracts.policies.settings import SettingScope, SettingType


class SettingDocument(msgspec.Struct, kw_only=True):
    """A setting that somebody has changed. `is_set` is false when it has its default again."""

    id: str
    value: SettingValue
    is_set: bool
    changed_at: datetime
    changed_by: str


class SettingSchema(msgspec.Struct, kw_only=True):
    """What a setting may be. `changed_by` is a user's id, or the service that changed it."""

    type: SettingType
    default: SettingValue
    minimum: int | None
    maximum: int | None
    choices: list[str]
    nullable: bool
    scope: SettingScope
    description: str
    changed_at: datetime | None
    changed_by: str | None


class SchedulerSettings(msgspec.Struct, kw_only=True):
    """What resource groups have that say nothing else."""

    type: str
    retries_to_skip: int


class IdleSettings(msgspec.Struct, kw_only=True):
    """When sessions end that are not used: times in seconds, thresholds in percent."""

    network_timeout_enabled: bool
    network_timeout: int
    utilization_enabled: bool
    utilization_window: int
    utilization_grace: int
    utilization_operator: str
    utilization_cpu: int | None
    utilization_mem: int | None
    utilization_gpu: int | None
    utilization_gpu_mem: int | None


class SettingsDocument(msgspec.Struct, kw_only=True):
    """All settings, and under `schema`, by dotted key, what each may be.

    `policy_maxima` is by what is limited: the largest that a policy may give, null for no limit.
    """

    image_auto_pull: str
    scheduler: SchedulerSettings
    overlay_mtu: int | None
    project_folders_allowed: bool
    max_containers_per_agent: int | None
    group_resource_visibility: bool
    announcement: str
    idle: IdleSettings
    policy_maxima: dict[str, int | None]
    schema: dict[str, SettingSchema]


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as the API nests them: parted at the first dot."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        section, dot, rest = key.partition(".")
        if dot:
            found.setdefault(section, {})[rest] = value
        else:
            found[section] = value
    return found
