"""Domains and projects as documents: pure folds of the users service's events."""

from datetime import datetime
from typing import Final

from services.gateway.documents.tenancy import DomainDocument, ProjectDocument
from services.gateway.projections.tables import Column, DocumentTable, times
from shared.contracts.users import DomainCreated, ProjectCreated

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


def domain_created(event: DomainCreated, at: datetime) -> DomainDocument:
    """Return a new domain's document."""
    return DomainDocument(
        id=event.name,
        name=event.name,
        description=event.description,
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
        resource_policy=event.resource_policy,
        created_at=at,
        modified_at=at,
    )
