"""What the administrators want everybody to know: on every page, told anew when it changes."""

from typing import Any

from litestar import Request, Response, get

from services.gateway.pages.console import Console
from services.gateway.pages.visits import Visit


@get("/announcement")
async def announcement(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the announcement alone, for scripts that read it again."""
    visit = Visit(request, console)
    visit.caller()
    frame = visit.bare_frame()
    frame.announcement = await visit.announcement()
    return visit.html("parts/announcement.html", {"frame": frame})
