"""Sessions and resource groups."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import DOMAIN, OWNER, Resource
from shared.contracts.kernels import EndReason, SessionType
from shared.contracts.scheduler import (
    ClusterMode,
    SchedulerType,
    SessionResult,
    SessionStatus,
)

_TIMES: Final = (
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)
# a group is seen by those for whom it is open; `narrow_doc` does not tell them for whom else
_OPEN: Final = (
    "is_public{active} and id in (select group_name from resource_group_access"
    " where kind = 'everybody' or (kind = 'domain' and value = {{domain}})"
    " or (kind = 'project' and value in ({projects}))"
    " or (kind = 'keypair' and value in ({keypairs})))"
)

SESSIONS: Final = Resource(
    noun="session",
    table="sessions",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("name", FieldKind.TEXT),
            Field("type", FieldKind.EXACT, choices=get_args(SessionType)),
            Field("status", FieldKind.EXACT, choices=get_args(SessionStatus)),
            Field("user_id", FieldKind.EXACT),
            Field("access_key", FieldKind.EXACT),
            Field("domain", FieldKind.EXACT),
            Field("project", FieldKind.EXACT),
            Field("resource_group", FieldKind.EXACT),
            Field("image", FieldKind.TEXT),
            Field("result", FieldKind.EXACT, choices=get_args(SessionResult)),
            Field("cluster_mode", FieldKind.EXACT, choices=get_args(ClusterMode)),
            Field("priority", FieldKind.NUMBER),
            Field("status_info", FieldKind.EXACT, choices=get_args(EndReason)),
            Field("agent", FieldKind.AMONG, sortable=False),
            Field("created_at", FieldKind.TIME),
            Field("scheduled_at", FieldKind.TIME, nullable=True, after="created_at"),
            Field("started_at", FieldKind.TIME, nullable=True, after="created_at"),
            Field("terminated_at", FieldKind.TIME, nullable=True, after="created_at"),
            Field("modified_at", FieldKind.TIME, filterable=False),
        ),
        default_sort="-created_at",
    ),
    sources=("scheduler",),
    sights={"domain": DOMAIN, "own": OWNER},
    list_action="sessions.list",
    read_action="sessions.read",
    is_live=True,
)
RESOURCE_GROUPS: Final = Resource(
    noun="resource_group",
    table="resource_groups",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("name", FieldKind.TEXT),
            Field("description", FieldKind.TEXT),
            Field("is_active", FieldKind.FLAG),
            Field("is_public", FieldKind.FLAG),
            Field("is_default", FieldKind.FLAG),
            Field("scheduler", FieldKind.EXACT, choices=get_args(SchedulerType)),
            *_TIMES,
        ),
        default_sort="name",
    ),
    sources=("scheduler", "users"),
    sights={
        "domain": _OPEN.format(
            active="",
            projects="select id from projects where domain = {domain}",
            keypairs="select id from keypairs where domain = {domain}",
        ),
        "own": _OPEN.format(
            active=" and is_active",
            projects="select project_id from memberships where user_id = {user}",
            keypairs="select id from keypairs where user_id = {user}",
        ),
    },
    list_action="resource-groups.list",
    read_action="resource-groups.read",
    versions="resource_group_versions",
    narrow_doc="narrow_doc",
)
