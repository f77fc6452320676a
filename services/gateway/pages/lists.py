"""One list of the console: from its address to documents, links and tabs."""

from typing import Any, Final, NamedTuple

from services.gateway.pages.listing import Listing
from services.gateway.pages.owners import list_page
from services.gateway.pages.visits import Visit
from services.gateway.reads.resources import Resource

ROWS: Final = 50


class TabRule(NamedTuple):
    """One way to narrow a list: its name in addresses, its title, the statuses it shows."""

    key: str
    title: str
    statuses: tuple[str, ...]


class ListRule(NamedTuple):
    """What a list page is; its first tab is shown when the address names none."""

    resource: Resource
    path: str
    tabs: tuple[TabRule, ...]
    default_sort: str
    searches: tuple[str, ...] = ()


class Tab(NamedTuple):
    """A tab as it is drawn."""

    href: str
    title: str
    is_current: bool


class Listed(NamedTuple):
    """One page of a list with what leads on from it."""

    documents: list[dict[str, Any]]
    listing: Listing
    tabs: list[Tab]


async def listed(visit: Visit, rule: ListRule) -> Listed:
    """Read what the address asks for; raises Refused (400, 403)."""
    asked = visit.query()
    key = asked.get("tab", "")
    current = next((tab for tab in rule.tabs if tab.key == key), rule.tabs[0])
    kept = {name: asked[name] for name in ("tab", *rule.searches) if asked.get(name)}
    offset, sort = asked.get("offset") or "0", asked.get("sort") or rule.default_sort
    query = {
        "status": list(current.statuses),
        "limit": [str(ROWS)],
        "offset": [offset],
        "sort": [sort],
        **{name: [kept[name]] for name in rule.searches if name in kept},
    }
    found, total = await list_page(visit.gateway.reads, rule.resource, visit.caller(), query)
    listing = Listing(
        rule.path,
        total,
        ROWS,
        offset=int(offset),
        sort=sort,
        default_sort=rule.default_sort,
        kept=tuple(kept.items()),
    )
    tabs = [
        Tab(listing.url(tab=tab.key or None, offset=None), visit.text(tab.title), tab is current)
        for tab in rule.tabs
    ]
    return Listed(found, listing, tabs)
