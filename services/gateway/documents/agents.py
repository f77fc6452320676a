"""Agents and the images they offer."""

from datetime import datetime
from typing import Literal

import msgspec

from shared.contracts.agents import AgentStatus, Enforcement


class DeviceDocument(msgspec.Struct, kw_only=True):
    """One accelerator; `amount` is what it can give of its slot."""

    id: str
    slot: str
    amount: str
    model: str
    memory_bytes: int


class AgentDocument(msgspec.Struct, kw_only=True):
    """One machine that runs kernels.

    `occupied_slots`, `session_count` and `live` are added when it is rendered.
    """

    id: str
    status: AgentStatus
    schedulable: bool = True
    resource_group: str
    addr: str
    region: str
    architecture: str
    version: str
    runtime: str
    incarnation: str
    first_contact: datetime
    lost_at: datetime | None = None
    available_slots: dict[str, str]
    devices: list[DeviceDocument]
    installed_images: list[str]
    isolation: dict[str, Enforcement]
    isolation_notes: list[str]
    created_at: datetime
    modified_at: datetime


class MinimumDocument(msgspec.Struct, kw_only=True):
    """The least of a slot that an image needs: by its label, by an administrator, and in effect."""

    label: str | None
    custom: str | None
    effective: str


class AppDocument(msgspec.Struct, kw_only=True):
    """A service that an image offers inside a session."""

    name: str
    protocol: str
    ports: list[int]


class ImageDocument(msgspec.Struct, kw_only=True):
    """What a session can run; `canonical` is what a session refers to."""

    id: str
    canonical: str
    registry: str
    namespace: str
    name: str
    tag: str
    architecture: str
    digest: str
    size_bytes: int
    base_distro: str | None
    labels: dict[str, str]
    minimum: dict[str, MinimumDocument]
    apps: list[AppDocument] = []
    installed_on: list[str] = []
    status: Literal["available", "unavailable"] = "available"
    created_at: datetime
    modified_at: datetime
