"""Changing settings and giving them their defaults again."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.settings import SCHEMA
from services.gateway.writes import Written
from shared.contracts.policies import SETTINGS, ChangeSettings, ResetSettings, SettingValue
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, all_invalid, not_found

INTEGER_MAX: Final = 2**63 - 1
NAMED: Final = frozenset({"unknown_setting", "wrong_type", "out_of_range", "read_only"})
SECTIONS: Final = frozenset(key.partition(".")[0] for key in SETTINGS if "." in key)


class PatchSchedulerSettings(Body, frozen=True, kw_only=True):
    """What new resource groups have that say nothing else."""

    type: str | UnsetType = UNSET
    retries_to_skip: int | UnsetType = UNSET


class PatchIdleSettings(Body, frozen=True, kw_only=True):
    """When sessions end that are not used: times in seconds, thresholds in percent."""

    network_timeout_enabled: bool | UnsetType = UNSET
    network_timeout: int | UnsetType = UNSET
    utilization_enabled: bool | UnsetType = UNSET
    utilization_window: int | UnsetType = UNSET
    utilization_grace: int | UnsetType = UNSET
    utilization_operator: str | UnsetType = UNSET
    utilization_cpu: int | UnsetType | None = UNSET
    utilization_mem: int | UnsetType | None = UNSET
    utilization_gpu: int | UnsetType | None = UNSET
    utilization_gpu_mem: int | UnsetType | None = UNSET


class PatchSettingsBody(Body, frozen=True, kw_only=True):
    """Settings to change, all of them or none: a merge patch. To reset one, DELETE it."""

    image_auto_pull: str | UnsetType = UNSET
    scheduler: PatchSchedulerSettings | UnsetType = UNSET
    overlay_mtu: int | UnsetType | None = UNSET
    project_folders_allowed: bool | UnsetType = UNSET
    max_containers_per_agent: int | UnsetType | None = UNSET
    group_resource_visibility: bool | UnsetType = UNSET
    announcement: str | UnsetType = UNSET
    idle: PatchIdleSettings | UnsetType = UNSET
    policy_maxima: dict[str, int | None] | UnsetType = UNSET


def flat(patch: Mapping[str, Any]) -> dict[str, SettingValue]:
    """Return what a patch says by dotted key; raises Refused (422) for what no setting can be."""
    values: dict[str, SettingValue] = {}
    errors: list[FieldError] = []
    for name, given in patch.items():
        if name == SCHEMA:
            text = "The schema of the settings is fixed; leave it out."
            errors.append(FieldError(name, "read_only", text))
        elif "." in name:  # sections are nested
            errors.append(_unknown(name))
        elif name not in SECTIONS:
            _add(values, errors, name, given)
        elif isinstance(given, Mapping):
            for rest, value in given.items():
                _add(values, errors, f"{name}.{rest}", value)
        else:
            text = f"{name}: give an object with the settings of this section that shall change."
            errors.append(FieldError(name, "wrong_type", text))
    if errors:
        raise Refused(all_invalid(tuple(errors), NAMED))
    return values


def _add(
    values: dict[str, SettingValue], errors: list[FieldError], key: str, value: object
) -> None:
    if key not in SETTINGS:
        errors.append(_unknown(key))
    elif value is not None and not isinstance(value, bool | int | str):
        text = f"{key}: give a single value of type {SETTINGS[key].type}."
        errors.append(FieldError(key, "wrong_type", text))
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        errors.append(FieldError(key, "out_of_range", f"{key}: no setting is as large as this."))
    else:
        values[key] = value


def _unknown(key: str) -> FieldError:
    text = f"There is no setting '{key[:64]}' here; GET /v1/settings shows all of them."
    return FieldError(key[:64], "unknown_setting", text)


async def patch_settings(
    gateway: Gateway, call: Call, values: dict[str, SettingValue], key: CommandKey | None = None
) -> Written:
    """Change settings, all of them or none."""
    return await gateway.writes.perform(call, ChangeSettings(values=values), key)


async def reset_setting(
    gateway: Gateway, call: Call, name: str, key: CommandKey | None = None
) -> Written:
    """Give one setting its default again; raises Refused (404)."""
    if name not in SETTINGS:
        raise Refused(not_found("setting", name[:64]))
    return await gateway.writes.perform(call, ResetSettings(settings=(name,)), key)


async def reset_settings(gateway: Gateway, call: Call, key: CommandKey | None = None) -> Written:
    """Give all settings their defaults again."""
    return await gateway.writes.perform(call, ResetSettings(), key)
