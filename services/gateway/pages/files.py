"""Serves style sheets and scripts: for ever cacheable, as each address names one content."""

from typing import Any, Final

from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import operation
from services.gateway.auth.permissions import PUBLIC
from services.gateway.pages.assets import PREFIX, Assets

FOR_EVER: Final = "public, max-age=31536000, immutable"


@get(f"{PREFIX}/{{digest:str}}/{{name:str}}", opt=operation(PUBLIC), include_in_schema=False)
async def static_file(
    request: Request[Any, Any, Any], assets: Assets, digest: str, name: str
) -> ASGIResponse:
    """Return a file of exactly the content that its address names."""
    asset = assets.find(f"{PREFIX}/{digest}/{name}")
    if asset is None:
        raise NotFoundException(detail=f"There is no file '{name[:64]}'.")
    headers = {"cache-control": FOR_EVER, "vary": "Accept-Encoding"}
    body = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = asset.gzipped
    return ASGIResponse(body=body, media_type=asset.content_type, headers=headers)
