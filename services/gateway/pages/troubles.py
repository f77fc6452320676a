"""What is late or away: a note on every page, told anew when it changes."""

from typing import Any

from litestar import Request, Response, get

from services.gateway.pages.console import Console
from services.gateway.pages.visits import Visit


@get("/troubles")
async def troubles(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the notes alone, for scripts that read them again."""
    visit = Visit(request, console)
    visit.caller()
    frame = visit.bare_frame()
    await visit.add_troubles(frame)
    return visit.html("parts/troubles.html", {"frame": frame})


async def known_troubles(visit: Visit) -> list[tuple[str, ...]]:
    """Return what is late or away now, to be compared with what it was."""
    parts = await visit.gateway.system.components()
    late = [(service,) for service, _ in visit.gateway.system.stale()]
    return [*late, *((part.name, part.status) for part in parts if part.status != "ok")]
