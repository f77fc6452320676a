"""The pending queue page: everyone who waits in a resource group, in order, and what for."""

from typing import Any, Final

from litestar import Request, Response, get

from services.gateway.http.problems import Refused, malformed
from services.gateway.pages.console import Console
from services.gateway.pages.listing import Listing
from services.gateway.pages.owners import list_page
from services.gateway.pages.visits import Visit
from services.gateway.reads.pages import Page
from services.gateway.reads.queue import queue_page as read_queue
from services.gateway.reads.sessions import RESOURCE_GROUPS
from shared.kernel.rejections import Rejection

PATH: Final = "/console/queue"
ROWS: Final = 100


@get("/queue")
async def queue_page(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show a group's queue; a script is given the table alone."""
    visit = Visit(request, console)
    principal, reads = visit.caller(), visit.gateway.reads
    asked = visit.query()
    groups, _ = await list_page(reads, RESOURCE_GROUPS, principal, {"limit": ["500"]})
    group = asked.get("group") or _first(groups)
    offset = _offset(asked.get("offset", "0"))
    found: Page | Rejection = Page((), 0)
    if group:  # else there is no group that the reader may see
        found = await read_queue(visit.gateway, principal, group, limit=ROWS, offset=offset)
    if isinstance(found, Rejection):
        raise Refused(found)
    entries = found.documents()
    for entry in entries:
        entry["owner_name"] = entry["owner"]["email"] or entry["owner"]["username"] or ""
    context = {
        "entries": entries,
        "list": Listing(PATH, found.total, ROWS, offset=offset, kept=(("group", group),)),
    }
    if visit.is_fragment:
        return visit.html("queue/_table.html", context)
    shown = {**context, "groups": groups, "group": group}
    return await visit.page("queue", "queue/page.html", shown)


def _first(groups: list[dict[str, Any]]) -> str:
    default = next((item["name"] for item in groups if item["is_default"]), None)
    return default or (groups[0]["name"] if groups else "")


def _offset(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 9:
        return int(text)
    raise Refused(malformed("malformed_query", "offset is a whole number."))
