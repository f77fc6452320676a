"""`/v1/domains`: creating and changing the outermost tenants."""

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
from services.gateway.api.lists import no_parameters
from services.gateway.api.routing import call, gateway_of, operation, respond, shown
from services.gateway.documents.tenancy import DomainDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.patches import read_patch
from services.gateway.reads.tenancy import DOMAINS
from shared.eventlog.records import CommandKey


@post(
    "/v1/domains",
    opt=operation("domains.create", body=CreateDomainBody, answer=DomainDocument, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a domain; its name is its identity for ever."""
    gateway, asked = gateway_of(request), call(request)
    no_parameters(asked)
    body = asked.json(CreateDomainBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await create_domain(gateway, asked, body, once)
        return await shown(gateway, asked, "domain.create", written, DOMAINS, body.name, status=201)

    return respond(await gateway.answers.once(asked, perform))


@patch(
    "/v1/domains/{key:str}",
    opt=operation("domains.update", body=PatchDomainBody, answer=DomainDocument),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a domain; in an inactive one nothing new begins."""
    gateway, asked = gateway_of(request), call(request)
    no_parameters(asked)
    body = read_patch(asked, PatchDomainBody, READ_ONLY)

    async def perform(once: CommandKey | None) -> Answered:
        written = await patch_domain(gateway, asked, key, body, once)
        return await shown(gateway, asked, "domain.update", written, DOMAINS, key)

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [create, change]
