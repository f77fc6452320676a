"""Domains, projects and members as documents: pure folds of the users service's events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import UNSET

from services.gateway.documents.tenancy import DomainDocument, MemberDocument, ProjectDocument
from services.gateway.projections.tables import Column, DocumentTable, times
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRoleSet,
)
from shared.kernel.slots import render_limits

DOMAINS: Final = DocumentTable(
    "domains",
    DomainDocument,
    (
        Column("name", "text", lambda domain: domain.name),
        Column("description", "text", lambda domain: domain.description),
        Column("is_active", "boolean", lambda domain: domain.is_active),
        *times(),
    ),
)
PROJECTS: Final = DocumentTable(
    "projects",
    ProjectDocument,
    (
        Column("name", "text", lambda project: project.name),
        Column("domain", "text", lambda project: project.domain),
        Column("type", "text", lambda project: project.type),
        Column("description", "text", lambda project: project.description),
        Column("resource_policy", "text", lambda project: project.resource_policy),
        Column("is_active", "boolean", lambda project: project.is_active),
        *times(),
    ),
)
MEMBERSHIPS: Final = DocumentTable(
    "memberships",
    MemberDocument,
    (
        Column("project_id", "text", lambda member: member.project_id),
        Column("user_id", "text", lambda member: member.user_id),
        Column("role", "text", lambda member: member.role),
        *times(),
    ),
)


def domain_created(event: DomainCreated, at: datetime) -> DomainDocument:
    """Return a new domain's document."""
    return DomainDocument(
        id=event.name,
        name=event.name,
        description=event.description,
        is_active=event.is_active,
        allowed_hosts=_hosts(event.allowed_hosts),
        total_resource_slots=render_limits(event.total_resource_slots),
        created_at=at,
        modified_at=at,
    )


def project_created(event: ProjectCreated, at: datetime) -> ProjectDocument:
    """Return a new project's document."""
    return ProjectDocument(
        id=event.project_id,
        name=event.name,
        domain=event.domain,
        type=event.project_type,
        description=event.description,
        is_active=event.is_active,
        resource_policy=event.resource_policy,
        allowed_hosts=_hosts(event.allowed_hosts),
        total_resource_slots=render_limits(event.total_resource_slots),
        created_at=at,
        modified_at=at,
    )


def tenant_changed(
    tenant: DomainDocument | ProjectDocument, event: DomainChanged | ProjectChanged, at: datetime
) -> None:
    """Fold what is different about a domain or a project."""
    if isinstance(event.description, str):
        tenant.description = event.description
    if isinstance(event.is_active, bool):
        tenant.is_active = event.is_active
    if event.allowed_hosts is not UNSET:
        tenant.allowed_hosts = _hosts(event.allowed_hosts)
    if event.total_resource_slots is not UNSET:
        tenant.total_resource_slots = render_limits(event.total_resource_slots)
    if (
        isinstance(tenant, ProjectDocument)
        and isinstance(event, ProjectChanged)
        and isinstance(event.resource_policy, str)
    ):
        tenant.resource_policy = event.resource_policy
    tenant.modified_at = at


def member_key(project_id: str, user_id: str) -> str:
    """Return the id of a membership."""
    return f"{project_id}:{user_id}"


def member_set(
    event: ProjectMemberAdded | ProjectMemberRoleSet, known: MemberDocument | None, at: datetime
) -> MemberDocument:
    """Return a membership as it is after somebody joined or was given another role."""
    return MemberDocument(
        id=member_key(event.project_id, event.user_id),
        project_id=event.project_id,
        user_id=event.user_id,
        role=event.role,
        created_at=at if known is None else known.created_at,
        modified_at=at,
    )


def _hosts(allowed: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {host: list(permissions) for host, permissions in allowed.items()}
