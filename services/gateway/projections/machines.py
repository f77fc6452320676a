"""Agents and images as documents: pure folds of the agents service's events."""

from datetime import datetime
from typing import Any, Final

from services.gateway.documents.agents import (
    AgentDocument,
    DeviceDocument,
    ImageDocument,
    MinimumDocument,
)
from services.gateway.projections.tables import Column, DocumentTable, times
from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentProfileChanged,
    AgentRevived,
    AgentSchedulableSet,
    AgentTerminated,
    ImageDiscovered,
)
from shared.kernel.slots import render_amount, render_slots

AGENTS: Final = DocumentTable(
    "agents",
    AgentDocument,
    (
        Column("status", "text", lambda agent: agent.status),
        Column("schedulable", "boolean", lambda agent: agent.schedulable),
        Column("resource_group", "text", lambda agent: agent.resource_group),
        Column("addr", "text", lambda agent: agent.addr),
        Column("region", "text", lambda agent: agent.region),
        Column("architecture", "text", lambda agent: agent.architecture),
        Column("version", "text", lambda agent: agent.version),
        Column("first_contact", "timestamptz", lambda agent: agent.first_contact),
        Column("lost_at", "timestamptz", lambda agent: agent.lost_at),
        *times(),
    ),
)
IMAGES: Final = DocumentTable(
    "images",
    ImageDocument,
    (
        Column("canonical", "text", lambda image: image.canonical),
        Column("registry", "text", lambda image: image.registry),
        Column("namespace", "text", lambda image: image.namespace),
        Column("name", "text", lambda image: image.name),
        Column("tag", "text", lambda image: image.tag),
        Column("architecture", "text", lambda image: image.architecture),
        Column("digest", "text", lambda image: image.digest),
        Column("installed", "boolean", lambda image: bool(image.installed_on)),
        Column("size_bytes", "bigint", lambda image: image.size_bytes),
        *times(),
    ),
)
BASE_DISTRO_LABEL: Final = "ai.backend.base-distro"


def connected(event: AgentConnected, before: AgentDocument | None, at: datetime) -> AgentDocument:
    """Return the document of an agent's new incarnation; its switch and first contact stay."""
    return AgentDocument(
        id=event.agent_id,
        status="ALIVE",
        schedulable=before.schedulable if before else True,
        incarnation=event.incarnation,
        first_contact=before.first_contact if before else at,
        created_at=before.created_at if before else at,
        modified_at=at,
        **_profile(event.profile),
    )


def advance_agent(agent: AgentDocument, event: object, at: datetime) -> AgentDocument:
    """Fold one later event of an agent into its document."""
    agent.modified_at = at
    if isinstance(event, AgentProfileChanged):
        for name, value in _profile(event.profile).items():
            setattr(agent, name, value)
    elif isinstance(event, AgentLost):
        agent.status = "LOST"
        agent.lost_at = at
    elif isinstance(event, AgentRevived):
        agent.status = "ALIVE"
        agent.lost_at = None
    elif isinstance(event, AgentTerminated):
        agent.status = "RESTARTING" if event.reason == "restarting" else "TERMINATED"
    elif isinstance(event, AgentSchedulableSet):
        agent.schedulable = event.schedulable
    return agent


def _profile(profile: AgentProfile) -> dict[str, Any]:
    return {
        "resource_group": profile.resource_group,
        "addr": profile.address,
        "region": profile.region,
        "architecture": profile.architecture,
        "version": profile.version,
        "runtime": profile.runtime,
        "available_slots": render_slots(profile.available_slots),
        "devices": [
            DeviceDocument(
                id=device.device_id,
                slot=device.slot,
                amount=render_amount(device.slot, device.amount),
                model=device.model,
                memory_bytes=device.memory_bytes,
            )
            for device in profile.devices
        ],
        "installed_images": list(profile.images),
        "isolation": dict(profile.isolation),
        "isolation_notes": list(profile.isolation_notes),
    }


def split_canonical(canonical: str) -> tuple[str, str, str, str]:
    """Split `registry/namespace/name:tag`; what is absent is empty, the tag then `latest`."""
    path, _, tag = canonical.rpartition(":")
    if not path or "/" in tag:
        path, tag = canonical, "latest"
    registry, _, rest = path.partition("/")
    if not rest:
        registry, rest = "", registry
    namespace, _, name = rest.rpartition("/")
    return registry, namespace, name, tag


def image_discovered(
    event: ImageDiscovered, before: ImageDocument | None, at: datetime
) -> ImageDocument:
    """Return the document of an image that was found, or found again with other contents."""
    registry, namespace, name, tag = split_canonical(event.canonical)
    return ImageDocument(
        id=event.key(),
        canonical=event.canonical,
        registry=registry,
        namespace=namespace,
        name=name,
        tag=tag,
        architecture=event.architecture,
        digest=event.digest,
        size_bytes=event.size_bytes,
        base_distro=event.labels.get(BASE_DISTRO_LABEL),
        labels=dict(event.labels),
        minimum={
            slot: MinimumDocument(label=amount, custom=None, effective=amount)
            for slot, amount in render_slots(event.minimum).items()
        },
        installed_on=before.installed_on if before else [],
        created_at=before.created_at if before else at,
        modified_at=at,
    )
