"""`/v1/resource-groups`: agents under a name, with a scheduler of their own, and who may enter."""

from functools import partial
from typing import Any, Final

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.resource_groups import (
    READ_ONLY,
    CreateResourceGroupBody,
    PatchResourceGroupBody,
    create_resource_group,
    delete_resource_group,
    patch_resource_group,
)
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    call,
    gateway_of,
    operation,
    plain,
)
from services.gateway.documents.references import Deletability
from services.gateway.documents.resource_groups import ResourceGroupDocument
from services.gateway.http.parameters import Field, FieldKind, ListSpec, parse_list
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused, malformed
from services.gateway.reads.group_references import GroupReference, group_references
from services.gateway.reads.sessions import RESOURCE_GROUPS
from services.gateway.writes import merged
from shared.kernel.rejections import Rejection

_REFERENCES: Final = ListSpec(
    (Field("type", FieldKind.TEXT, filterable=False),), default_sort="type"
)


@post(
    "/v1/resource-groups",
    opt=operation(
        "resource-groups.create",
        body=CreateResourceGroupBody,
        answer=ResourceGroupDocument,
        status=201,
    ),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a resource group; its name is its identity for ever."""
    gateway, asked = plain(request)
    body = asked.json(CreateResourceGroupBody)
    write = partial(create_resource_group, gateway, asked, body)
    kind = "resource-group.create"
    return await answer_shown(gateway, asked, kind, write, RESOURCE_GROUPS, body.name, status=201)


@patch(
    "/v1/resource-groups/{key:str}",
    opt=operation(
        "resource-groups.update", body=PatchResourceGroupBody, answer=ResourceGroupDocument
    ),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a resource group; a change of its scheduler orders its queue anew at once."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchResourceGroupBody, READ_ONLY)
    write = partial(patch_resource_group, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "resource-group.update", write, RESOURCE_GROUPS, key)


@delete(
    "/v1/resource-groups/{key:str}",
    opt=operation("resource-groups.delete", status=204),
    status_code=200,
)
async def remove(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Delete a resource group that nothing refers to; ended sessions keep its name."""
    gateway, asked = bare(request)
    write = partial(delete_resource_group, gateway, asked, key)
    return await answer_done(gateway, asked, "resource-group.delete", write)


@get(
    "/v1/resource-groups/{key:str}/references",
    opt=operation(
        "resource-groups.references",
        answer=GroupReference,
        listed=_REFERENCES,
        page=Deletability,
    ),
)
async def references(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """List what refers to a resource group, and tell whether it could be deleted."""
    gateway, asked = gateway_of(request), call(request)
    query = parse_list(_REFERENCES, asked.query)
    if isinstance(query, Rejection):
        raise Refused(query)
    if query.after is not None or query.sort[0].descending:
        raise Refused(malformed("malformed_query", "This list is in its own order, by offset."))
    group = await gateway.reads.decoded(RESOURCE_GROUPS, asked.caller(), key)
    if isinstance(group, Rejection):
        raise Refused(group)
    found = await group_references(
        gateway.reads.pool,
        key,
        is_default=group["is_default"],
        limit=query.limit,
        offset=query.offset,
    )
    page, deletable = found
    return answer(merged(page.encode().decode(), **msgspec.to_builtins(deletable)))


ROUTES: Final = [create, change, remove, references]
