"""The pending queue of a resource group: everyone's waiting sessions in the order of placement."""

from datetime import datetime
from typing import Any, Final

import msgspec

from services.gateway.auth.permissions import forbidden, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.parameters import Field, FieldKind, ListSpec, parse_list
from services.gateway.http.problems import malformed
from services.gateway.reads.pages import Page
from services.gateway.reads.sessions import RESOURCE_GROUPS
from services.gateway.telemetry.queues import Place
from shared.contracts.scheduler import EstimatedStart, Reason
from shared.kernel.rejections import FieldError, Rejection

SPEC: Final = ListSpec(
    (
        Field("position", FieldKind.NUMBER, filterable=False),
        Field("resource_group", FieldKind.EXACT, sortable=False),
    ),
    default_sort="position",
)
_PENDING: Final = (
    "select s.id, s.doc, u.email, u.username from sessions s left join users u on u.id = s.user_id"
    " where s.id = any($1::text[]) and s.status = 'PENDING'"
)
_OF_DOMAIN: Final = (
    "select id from sessions where status = 'PENDING' and resource_group = $1 and domain = $2"
)


class OwnerDocument(msgspec.Struct, kw_only=True):
    """Whose session it is."""

    id: str
    email: str | None
    username: str | None


class PendingDocument(msgspec.Struct, kw_only=True):
    """One waiting session; `position` starts at 1 and counts everyone's."""

    position: int
    session: dict[str, Any]
    requested: dict[str, str]
    owner: OwnerDocument
    reason: Reason
    retries: int
    estimated_start: EstimatedStart | None


async def pending_page(gateway: Gateway, principal: Principal, query: str) -> Page | Rejection:
    """Return one page of the queue named in a raw query string."""
    asked = parse_list(SPEC, query)
    if isinstance(asked, Rejection):
        return asked
    groups = dict(asked.filters).get("resource_group", ())
    if len(groups) != 1 or asked.after is not None or asked.sort[0].descending:
        message = "Name one resource_group; the queue is in its own order, paged by offset."
        errors = (FieldError("resource_group", "required", message),)
        return malformed("malformed_query", message, errors)
    return await queue_page(
        gateway, principal, str(groups[0]), limit=asked.limit, offset=asked.offset
    )


async def queue_page(
    gateway: Gateway, principal: Principal, group: str, *, limit: int = 20, offset: int = 0
) -> Page | Rejection:
    """Return one page of a group's queue, as far as the caller sees it."""
    scope = scope_of(principal, "queue.list")
    if scope == "none":
        return forbidden("queue.list")
    # a group that the caller may not see has no queue for him
    hidden = await gateway.reads.stored(RESOURCE_GROUPS, principal, group)
    if isinstance(hidden, Rejection):
        return hidden
    pool = gateway.reads.pool
    if scope == "domain":
        rows = await pool.fetch(_OF_DOMAIN, group, principal.domain)
        seen = {row["id"] for row in rows}
        shown, total = gateway.queues.places(group, offset, limit, among=seen)
    else:
        shown, total = await gateway.queue_order.page(group, offset, limit)
    rows = await pool.fetch(_PENDING, [place.session_id for place in shown])
    found = {row["id"]: row for row in rows}
    now = gateway.clock.now()
    items = [
        _render(place, found[place.session_id], now) for place in shown if place.session_id in found
    ]
    return Page(tuple(items), total)


def _render(place: Place, row: Any, now: datetime) -> str:
    session = msgspec.json.decode(row["doc"])
    members = place.members(now)
    return msgspec.json.encode(
        {
            "position": place.position,
            "session": {**session, **members},
            "requested": session["requested"],
            "owner": {
                "id": session["user_id"],
                "email": row["email"] or None,
                "username": row["username"] or None,
            },
            "reason": members["reason"],
            "retries": members["retries"],
            "estimated_start": members["estimated_start"],
        }
    ).decode()
