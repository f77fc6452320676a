"""What the scheduler knows of policies and settings: a replica of the policies service's events."""

from typing import cast

from services.scheduler.domain import quota
from services.scheduler.domain.idleness import IdleRules, idle_rules
from services.scheduler.domain.quota import KeypairLimits
from shared.contracts.base import Event
from shared.contracts.kernels import AutoPull
from shared.contracts.policies import (
    SETTINGS,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    SettingChanged,
    SettingReset,
    SettingValue,
)
from shared.contracts.scheduler import SchedulerType


class PoliciesView:
    """The limits of each keypair policy, and the value of each setting."""

    def __init__(self) -> None:
        self.keypair: dict[str, KeypairLimits] = {}
        self._settings: dict[str, SettingValue] = {}

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case KeypairPolicyCreated() | KeypairPolicyChanged() | KeypairPolicyDeleted():
                self.keypair[event.name] = quota.evolve(self.keypair.get(event.name), event)
            case SettingChanged():
                self._settings[event.setting] = event.value
            case SettingReset():
                self._settings.pop(event.setting, None)

    @property
    def retries_to_skip(self) -> int:
        """How often a first in line is tried before others pass, unless its group says it."""
        return cast(int, self._setting("scheduler.retries_to_skip"))

    @property
    def max_containers_per_agent(self) -> int | None:
        """How many kernels an agent may have; None is any number."""
        return cast(int | None, self._setting("max_containers_per_agent"))

    @property
    def scheduler(self) -> SchedulerType:
        """What groups have that are created without a scheduler."""
        return cast(SchedulerType, self._setting("scheduler.type"))

    @property
    def image_auto_pull(self) -> AutoPull:
        """When nodes fetch the image of a session."""
        return cast(AutoPull, self._setting("image_auto_pull"))

    @property
    def idle_rules(self) -> IdleRules:
        """When sessions count as idle, unless the policy of their keypair says it."""
        return idle_rules(self._setting)

    def _setting(self, name: str) -> SettingValue:
        return self._settings.get(name, SETTINGS[name].default)
