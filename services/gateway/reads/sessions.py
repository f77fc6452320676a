"""Sessions and resource groups."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import DOMAIN, OWNER, Resource
from shared.contracts.kernels import SessionType
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
            *_TIMES,
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
    sources=("scheduler",),
    sights={"domain": "is_public", "own": "is_active and is_public"},
    list_action="resource-groups.list",
    read_action="resource-groups.read",
)
