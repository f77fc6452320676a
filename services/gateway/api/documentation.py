"""The API's own description, for programs and for people; it needs nothing from the internet."""

from typing import Any, Final

import msgspec
from litestar import MediaType, Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import operation
from services.gateway.auth.permissions import PUBLIC

OPENAPI_KEY: Final = "openapi_document"
PAGE_KEY: Final = "documentation_page"


@get("/openapi.json", opt=operation(PUBLIC, answer="application/json"))
async def openapi(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return the OpenAPI document."""
    body: bytes = request.app.state[OPENAPI_KEY]
    return ASGIResponse(body=body, media_type=MediaType.JSON)


@get("/docs", opt=operation(PUBLIC, answer="text/html"))
async def documentation(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return the documentation as one page."""
    body: bytes = request.app.state[PAGE_KEY]
    return ASGIResponse(body=body, media_type=MediaType.HTML)


def encode(document: dict[str, Any]) -> bytes:
    """Return the document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


ROUTES: Final = [openapi, documentation]
