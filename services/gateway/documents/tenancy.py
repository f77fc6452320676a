"""Domains and projects: who belongs together."""

from datetime import datetime

import msgspec

from shared.contracts.users import ProjectRole, ProjectType


class DomainDocument(msgspec.Struct, kw_only=True):
    """The outermost tenant. Limits that are null or absent are unlimited."""

    id: str
    name: str
    description: str
    is_active: bool = True
    allowed_hosts: dict[str, list[str]] = {}
    total_resource_slots: dict[str, str | None] = {}
    created_at: datetime
    modified_at: datetime


class MemberDocument(msgspec.Struct, kw_only=True):
    """A user's part in a project, as it is stored; `ShownMember` is what is rendered."""

    id: str
    project_id: str
    user_id: str
    role: ProjectRole
    created_at: datetime
    modified_at: datetime


class ShownMember(MemberDocument, kw_only=True):
    """A user's part in a project; the names are null when the person has been erased."""

    email: str | None
    username: str | None
    full_name: str | None


class ProjectDocument(msgspec.Struct, kw_only=True):
    """A project of a domain. Limits that are null or absent are unlimited."""

    id: str
    name: str
    domain: str
    type: ProjectType
    description: str
    is_active: bool = True
    resource_policy: str
    allowed_hosts: dict[str, list[str]] = {}
    total_resource_slots: dict[str, str | None] = {}
    created_at: datetime
    modified_at: datetime
