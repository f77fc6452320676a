"""Presets as somebody may use them now."""

import msgspec

from services.gateway.documents.limits import ScopeLimits
from services.gateway.documents.policies import PresetDocument
from shared.contracts.scheduler import Reason


class AvailablePreset(PresetDocument, kw_only=True):
    """A preset, and whether a session of it could start now; `reason` says why it could not."""

    allocatable: bool
    reason: Reason | None


class GroupRoom(msgspec.Struct, kw_only=True):
    """What a resource group's agents hold and have left that take new sessions now.

    `largest` is the most of each slot that one agent alone has left.
    """

    name: str
    agents: int
    used: dict[str, str]
    remaining: dict[str, str]
    largest: dict[str, str]


class AvailablePresets(msgspec.Struct, kw_only=True):
    """All presets for a keypair in a project, with what limits leave and agents have free.

    `remaining` is by slot the least that any visible limit leaves, null where none does.
    """

    items: list[AvailablePreset]
    total: int
    next_cursor: None = None
    access_key: str | None
    project: str | None
    resource_group: str | None
    remaining: dict[str, str | None]
    scopes: list[ScopeLimits]
    resource_groups: list[GroupRoom]
