"""`/v1/domains`: creating and changing the outermost tenants."""

from functools import partial
from typing import Any, Final

from litestar import Request, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.domains import (
    READ_ONLY,
    CreateDomainBody,
    PatchDomainBody,
    create_domain,
    patch_domain,
)
from services.gateway.api.routing import answer_shown, operation, plain
from services.gateway.documents.tenancy import DomainDocument
from services.gateway.http.patches import read_patch
from services.gateway.reads.tenancy import DOMAINS


@post(
    "/v1/domains",
    opt=operation("domains.create", body=CreateDomainBody, answer=DomainDocument, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a domain; its name is its identity for ever."""
    gateway, asked = plain(request)
    body = asked.json(CreateDomainBody)
    write = partial(create_domain, gateway, asked, body)
    return await answer_shown(
        gateway, asked, "domain.create", write, DOMAINS, body.name, status=201
    )


@patch(
    "/v1/domains/{key:str}",
    opt=operation("domains.update", body=PatchDomainBody, answer=DomainDocument),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a domain; in an inactive one nothing new begins."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchDomainBody, READ_ONLY)
    write = partial(patch_domain, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "domain.update", write, DOMAINS, key)


ROUTES: Final = [create, change]
