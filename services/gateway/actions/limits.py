"""What domains, projects and policies have alike: limits of resources, rights to folders."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType

from services.gateway.http.patches import merged_map
from services.gateway.http.problems import Refused
from shared.kernel.rejections import FieldError, all_invalid
from shared.kernel.slots import Limits, parse_limits

RawLimits: TypeAlias = dict[str, int | float | str | None]
RawHosts: TypeAlias = dict[str, list[str]]
HostsPatch: TypeAlias = dict[str, list[str] | None]


TOTAL: Final = "total_resource_slots"


def limits_of(raw: RawLimits, field: str = TOTAL) -> Limits:
    """Return limits as commands carry them; raises Refused (422) that names each wrong slot."""
    limits = parse_limits(raw)
    if isinstance(limits, tuple):
        raise Refused(
            all_invalid(
                tuple(
                    FieldError(f"{field}.{error.field}", error.code, error.message)
                    for error in limits
                )
            )
        )
    return limits


def hosts_of(raw: RawHosts) -> dict[str, tuple[str, ...]]:
    """Return what may be done with folders as commands carry it."""
    return {host: tuple(permissions) for host, permissions in raw.items()}


def patched_limits(
    document: Mapping[str, Any], patch: RawLimits | UnsetType | None
) -> Limits | UnsetType:
    """Return the limits as a patch makes them; a null is unlimited, as an absent slot is."""
    merged = merged_map(document[TOTAL], patch)
    return UNSET if isinstance(merged, UnsetType) else limits_of(merged)


def patched_hosts(
    document: Mapping[str, Any], patch: HostsPatch | UnsetType | None
) -> dict[str, tuple[str, ...]] | UnsetType:
    """Return what may be done with folders as a patch makes it; a null removes a host."""
    merged = merged_map(document["allowed_hosts"], patch)
    return UNSET if isinstance(merged, UnsetType) else hosts_of(merged)
