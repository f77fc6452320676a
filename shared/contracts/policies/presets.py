"""Presets: named requests for resources that users may choose."""

from typing import ClassVar, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Slots


class PresetEvent(Event, frozen=True):
    """What the events of a preset have in common."""

    AGGREGATE: ClassVar[str] = "preset"
    preset_id: str

    def key(self) -> str:
        """Return the preset's id."""
        return self.preset_id


class PresetDefined(PresetEvent, frozen=True, tag="PresetDefined"):
    """A named request that users may choose; `resource_group` null is for every group."""

    name: str
    resource_slots: Slots
    shared_memory: int | None = None
    resource_group: str | None = None


class PresetChanged(PresetEvent, frozen=True, tag="PresetChanged"):
    """A preset asks for something else; what is absent has not changed."""

    resource_slots: Slots | UnsetType = UNSET
    shared_memory: int | UnsetType | None = UNSET


class PresetDeleted(PresetEvent, frozen=True, tag="PresetDeleted"):
    """A preset is not offered any more; sessions that were made from it are as they were."""


class DefinePreset(Command, frozen=True, tag="DefinePreset"):
    """Offer a request under a name that is free in its group (null: among those of every group).

    The result holds `preset_id`. Refused: `preset_exists` (409).
    """

    SERVICE: ClassVar = "policies"
    name: str
    resource_slots: Slots
    shared_memory: int | None = None
    resource_group: str | None = None


class ChangePreset(Command, frozen=True, tag="ChangePreset"):
    """Change what a preset asks for; `resource_slots` is given whole."""

    SERVICE: ClassVar = "policies"
    preset_id: str
    resource_slots: Slots | UnsetType = UNSET
    shared_memory: int | UnsetType | None = UNSET


class DeletePreset(Command, frozen=True, tag="DeletePreset"):
    """Offer a preset no more."""

    SERVICE: ClassVar = "policies"
    preset_id: str


PresetsEvent: TypeAlias = PresetDefined | PresetChanged | PresetDeleted
PresetsCommand: TypeAlias = DefinePreset | ChangePreset | DeletePreset
