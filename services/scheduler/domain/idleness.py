"""When a session counts as idle: nobody uses it, or it makes too little use of what it was given.

The settings say it for all; the `idle_timeout` of a keypair's policy goes before both times of the
settings, and 0 is never. Services (inference) are never idle, and nobody sits before a batch job.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, cast

from services.scheduler.domain.session import Session
from shared.contracts.kernels import EndReason, KernelUsage
from shared.contracts.policies import SettingValue
from shared.kernel.slots import MILLI, Slots

RESOURCES: Final = ("cpu", "mem", "gpu", "gpu_mem")
# Shares are counted in hundredths of a percent.
PER_PERCENT: Final = 100
Operator = Literal["and", "or"]


class IdleRules(NamedTuple):
    """What the settings say; a null time means that the check is off. Thresholds in percent."""

    network_timeout_s: int | None = None
    window_s: int | None = None
    grace_s: int = 300
    operator: Operator = "and"
    thresholds: Mapping[str, int] = MappingProxyType({})


class Ending(NamedTuple):
    """When a session will be ended if nothing changes, and why."""

    at: datetime
    reason: EndReason | None


def idle_rules(setting: Callable[[str], SettingValue]) -> IdleRules:
    """Return the rules that the settings make."""

    def seconds(enabled: str, name: str) -> int | None:
        return cast(int, setting(name)) if setting(enabled) else None

    thresholds = {name: setting(f"idle.utilization_{name}") for name in RESOURCES}
    return IdleRules(
        network_timeout_s=seconds("idle.network_timeout_enabled", "idle.network_timeout"),
        window_s=seconds("idle.utilization_enabled", "idle.utilization_window"),
        grace_s=cast(int, setting("idle.utilization_grace")),
        operator=cast(Operator, setting("idle.utilization_operator")),
        thresholds={
            name: cast(int, value) for name, value in thresholds.items() if value is not None
        },
    )


def network_limit_s(rules: IdleRules, session: Session, policy_s: int | None) -> int | None:
    """Return for how long nobody may use a session; None is for ever."""
    if rules.network_timeout_s is None or session.request.session_type != "interactive":
        return None
    return (rules.network_timeout_s if policy_s is None else policy_s) or None


def window_limit_s(rules: IdleRules, session: Session, policy_s: int | None) -> int | None:
    """Return over how long a session's use is averaged; None: it is not judged."""
    is_service = session.request.session_type == "inference"
    if rules.window_s is None or not rules.thresholds or is_service:
        return None
    return (rules.window_s if policy_s is None else policy_s) or None


def counts_from(rules: IdleRules, started_at: datetime) -> datetime:
    """Return from when on a session's use counts."""
    return started_at + timedelta(seconds=rules.grace_s)


def is_below(rules: IdleRules, means: Mapping[str, int]) -> bool:
    """Tell whether mean shares are too low. What has no mean is left out; nothing is not idle."""
    below = [
        means[name] < threshold * PER_PERCENT
        for name, threshold in rules.thresholds.items()
        if name in means
    ]
    if rules.operator == "or":
        return any(below)
    return bool(below) and all(below)


def shares_of(requested: Slots, usage: KernelUsage) -> dict[str, int]:
    """Return what a kernel uses of what it was given, as far as it was measured.

    Accelerators tell of themselves: the mean of their loads, and the part of all their memory.
    """
    shares: dict[str, int] = {}
    cores = requested.get("cpu", 0)
    if cores > 0 and usage.cpu_percent is not None:
        shares["cpu"] = round(usage.cpu_percent * PER_PERCENT * MILLI / cores)
    memory = requested.get("mem", 0)
    if memory > 0 and usage.mem_bytes is not None:
        shares["mem"] = 100 * PER_PERCENT * usage.mem_bytes // memory
    loads = [
        device.utilisation_percent
        for device in usage.devices
        if device.utilisation_percent is not None
    ]
    if loads:
        shares["gpu"] = round(sum(loads) * PER_PERCENT / len(loads))
    memories = [
        (device.memory_used_bytes, device.memory_total_bytes)
        for device in usage.devices
        if device.memory_used_bytes is not None and device.memory_total_bytes
    ]
    if memories:
        total = sum(whole for _, whole in memories)
        shares["gpu_mem"] = 100 * PER_PERCENT * sum(used for used, _ in memories) // total
    return shares
