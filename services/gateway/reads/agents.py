"""Agents and images."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import Resource
from shared.contracts.agents import AgentStatus

_TIMES: Final = (
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)

AGENTS: Final = Resource(
    noun="agent",
    table="agents",
    spec=ListSpec(
        (
            Field("id", FieldKind.TEXT),
            Field("status", FieldKind.EXACT, choices=get_args(AgentStatus)),
            Field("schedulable", FieldKind.FLAG),
            Field("resource_group", FieldKind.EXACT),
            Field("addr", FieldKind.TEXT),
            Field("region", FieldKind.TEXT),
            Field("architecture", FieldKind.EXACT),
            Field("version", FieldKind.EXACT),
            Field("first_contact", FieldKind.TIME, filterable=False),
            Field("lost_at", FieldKind.TIME, filterable=False, nullable=True),
            *_TIMES,
        ),
        default_sort="id",
    ),
    sources=("agents", "scheduler"),
    sights={},
    list_action="agents.list",
    read_action="agents.read",
    is_live=True,
)
IMAGES: Final = Resource(
    noun="image",
    table="images",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("canonical", FieldKind.TEXT),
            Field("registry", FieldKind.TEXT),
            Field("namespace", FieldKind.TEXT),
            Field("name", FieldKind.TEXT),
            Field("tag", FieldKind.TEXT),
            Field("architecture", FieldKind.EXACT),
            Field("digest", FieldKind.EXACT),
            Field("installed", FieldKind.FLAG),
            Field("size_bytes", FieldKind.NUMBER),
            *_TIMES,
        ),
        default_sort="canonical",
    ),
    sources=("agents",),
    sights={},
    list_action="images.list",
    read_action="images.read",
)
