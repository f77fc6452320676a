"""Domains, projects and their members."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import Resource
from shared.contracts.users import ProjectRole, ProjectType

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
MEMBERS: Final = Resource(
    noun="member",
    table="memberships",
    spec=ListSpec(
        (
            Field("project_id", FieldKind.EXACT, sortable=False, filterable=False),
            Field("user_id", FieldKind.EXACT),
            Field("role", FieldKind.EXACT, choices=get_args(ProjectRole)),
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={
        "domain": "project_id in (select id from projects where domain = {domain})",
        "own": "(user_id = {user} or project_id in"
        " (select project_id from memberships where user_id = {user} and role = 'admin'))",
    },
    list_action="projects.members.list",
    read_action="projects.members.list",
)
