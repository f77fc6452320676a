"""Domains and projects."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import Resource
from shared.contracts.users import ProjectType

_TIMES: Final = (
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)

DOMAINS: Final = Resource(
    noun="domain",
    table="domains",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("name", FieldKind.TEXT),
            Field("description", FieldKind.TEXT),
            Field("is_active", FieldKind.FLAG),
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={"domain": "id = {domain}"},
    list_action="domains.list",
    read_action="domains.read",
)
PROJECTS: Final = Resource(
    noun="project",
    table="projects",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("name", FieldKind.TEXT),
            Field("domain", FieldKind.EXACT),
            Field("type", FieldKind.EXACT, choices=get_args(ProjectType)),
            Field("description", FieldKind.TEXT),
            Field("resource_policy", FieldKind.EXACT),
            Field("is_active", FieldKind.FLAG),
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={
        "domain": "domain = {domain}",
        "own": "id in (select project_id from memberships where user_id = {user})",
    },
    list_action="projects.list",
    read_action="projects.read",
)
