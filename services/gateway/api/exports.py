"""`/v1/exports/<list>.csv`: a whole list as a file, with the filters and order of the list."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from time import perf_counter
from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.api.asking import AT, asked_of
from services.gateway.api.history import SPAN
from services.gateway.api.routing import Parameter, call, gateway_of, operation
from services.gateway.auth.authenticator import NOT_AUTHENTICATED
from services.gateway.auth.principals import Principal
from services.gateway.exports.asked import FILENAME_CHARS_MAX, Asked, read_asked, select
from services.gateway.exports.cells import lines
from services.gateway.exports.columns import Column, cells, header, ordinary
from services.gateway.exports.download import Download, Pieces
from services.gateway.exports.kinds import EVENTS, KINDS, Kind
from services.gateway.exports.reading import Rows
from services.gateway.gateway import Gateway
from services.gateway.history.rows import Span
from services.gateway.history.wanted import LOG, wanted_of_log
from services.gateway.http.parameters import ListQuery
from services.gateway.http.problems import Refused
from services.gateway.live import Subscription
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

log = get_logger(__name__)
MEDIA: Final = "text/csv"
_OWN: Final = (
    Parameter(
        "columns",
        {"type": "string"},
        "Which columns, in this order, separated by commas; a part of a map is `requested.mem`.",
    ),
    Parameter(
        "filename",
        {"type": "string", "maxLength": FILENAME_CHARS_MAX},
        "What the file shall be called; `.csv` is added where it is missing.",
    ),
)


Read = Callable[[], AsyncGenerator[Rows, None]]


def _route(noun: str, kind: Kind) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        gateway, asked = gateway_of(request), call(request)
        own = _read(noun, asked.query, gateway)
        query = asked_of(kind.resource, own.rest, gateway.clock.now())
        columns = await _columns(gateway, kind, own)
        read = partial(gateway.exports.documents, asked.caller(), kind, query, columns)
        return Download(partial(_csv, gateway, asked.caller(), noun, columns, read), own.filename)

    handler.__doc__ = f"Return all {noun.replace('-', ' ')} that a list of them would show, as CSV."
    parameters = _OWN if kind.resource.versions is None else (*_OWN, AT)
    options = operation(
        kind.resource.list_action,
        answer=MEDIA,
        narrowed=kind.resource.spec,
        parameters=parameters,
    )
    return get(f"/v1/exports/{noun}.csv", opt=options)(handler)


@get(
    "/v1/exports/events.csv",
    opt=operation("events.list", answer=MEDIA, narrowed=LOG, parameters=(*_OWN, *SPAN)),
)
async def events(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return the audit log as CSV, the newest first."""
    gateway, asked = gateway_of(request), call(request)
    own = _read("events", asked.query, gateway)
    wanted = wanted_of_log(own.rest)
    if isinstance(wanted, Rejection):
        raise Refused(wanted)
    columns = _selected(EVENTS, own) or list(EVENTS.values())
    read = partial(_entries, gateway, asked.caller(), *wanted)
    return Download(partial(_csv, gateway, asked.caller(), "events", columns, read), own.filename)


async def _csv(
    gateway: Gateway, principal: Principal, noun: str, columns: list[Column], read: Read
) -> Pieces:
    """Yield the file: its head at once with the first rows, then piece by piece."""
    subscription = gateway.live.subscribe(
        principal.user_id, frozenset(), credential=principal.credential
    )
    if subscription is None:
        raise Refused(unavailable("too_many_streams", "Too many streams are open; close one.", 5))
    started, count, head = perf_counter(), 0, [header(columns)]
    try:
        with gateway.exports.place(principal.user_id):
            async with aclosing(read()) as batches:
                async for batch in batches:
                    _check(subscription)
                    yield lines([*head, *(cells(columns, document) for document in batch)])
                    head, count = [], count + len(batch)
            if head:
                yield lines(head)
        log.info("exported", what=noun, rows=count, took_s=round(perf_counter() - started, 2))
    finally:
        gateway.live.unsubscribe(subscription)


def _check(subscription: Subscription) -> None:
    """Stop when the log-in has ended, the keypair is off or the role is another."""
    if subscription.is_closed:
        raise Refused(NOT_AUTHENTICATED)


async def _entries(
    gateway: Gateway, principal: Principal, span: Span, query: ListQuery
) -> AsyncGenerator[Rows, None]:
    async with aclosing(gateway.history.whole_log(principal, span, query)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Rejection):
                raise Refused(piece)
            yield [msgspec.to_builtins(entry) for entry in piece]


def _read(noun: str, query: str, gateway: Gateway) -> Asked:
    own = read_asked(noun, query, gateway.clock.now())
    if isinstance(own, Rejection):
        raise Refused(own)
    return own


async def _columns(gateway: Gateway, kind: Kind, own: Asked) -> list[Column]:
    columns = _selected(kind.columns, own)
    if columns is None:
        has_slots = any(column.is_slots for column in kind.columns.values())
        slots = await gateway.exports.slots() if has_slots else []
        columns = ordinary(kind.columns, kind.hidden, slots)
    return columns


def _selected(columns: Mapping[str, Column], own: Asked) -> list[Column] | None:
    """Return the columns that are named, None when none are; raises Refused (400)."""
    if own.names is None:
        return None
    found = select(columns, own.names)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


ROUTES: Final = [*(_route(noun, kind) for noun, kind in KINDS.items()), events]
