"""Resource policies and presets."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import Resource
from shared.contracts.policies import Unspecified

_NAMED: Final = (
    Field("id", FieldKind.EXACT),
    Field("name", FieldKind.TEXT),
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)

KEYPAIR_POLICIES: Final = Resource(
    noun="keypair_policy",
    table="keypair_policies",
    spec=ListSpec(
        (
            *_NAMED,
            Field("is_default", FieldKind.FLAG),
            Field("default_for_unspecified", FieldKind.EXACT, choices=get_args(Unspecified)),
        ),
        default_sort="name",
    ),
    sources=("policies", "users"),
    sights={
        "domain": "id in (select resource_policy from keypairs where domain = {domain})",
        "own": "id in (select resource_policy from keypairs where user_id = {user})",
    },
    list_action="keypair-policies.list",
    read_action="keypair-policies.read",
    versions="keypair_policy_versions",
)
USER_POLICIES: Final = Resource(
    noun="user_policy",
    table="user_policies",
    spec=ListSpec(_NAMED, default_sort="name"),
    sources=("policies",),
    sights={},
    list_action="user-policies.list",
    read_action="user-policies.read",
    versions="user_policy_versions",
)
PROJECT_POLICIES: Final = Resource(
    noun="project_policy",
    table="project_policies",
    spec=ListSpec(_NAMED, default_sort="name"),
    sources=("policies",),
    sights={},
    list_action="project-policies.list",
    read_action="project-policies.read",
    versions="project_policy_versions",
)
PRESETS: Final = Resource(
    noun="preset",
    table="presets",
    spec=ListSpec((*_NAMED, Field("resource_group", FieldKind.EXACT)), default_sort="name"),
    sources=("policies",),
    sights={},
    list_action="presets.list",
    read_action="presets.read",
    versions="preset_versions",
)
