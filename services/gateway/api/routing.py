"""How a route says what it is: its action, body and answer, in one place for guard and document."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.auth.permissions import PUBLIC, forbidden, may
from services.gateway.gateway import Gateway
from services.gateway.http.calls import Call, call_of
from services.gateway.http.idempotency import Answered
from services.gateway.http.parameters import ListSpec, only_parameters
from services.gateway.http.problems import Refused, malformed
from services.gateway.reads.resources import Resource
from services.gateway.writes import Written, merged
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

OPERATION: Final = "operation"


class Parameter(NamedTuple):
    """A query parameter of a route that is not a list; `schema` is JSON Schema."""

    name: str
    schema: dict[str, Any]
    text: str


class Operation(NamedTuple):
    """What a route does. `answer` and `body` are Structs, or a media type for what is none.

    A list says what it allows: by its read model `resource`, or by itself in `listed`; `narrowed`
    is what has the filters and the order of a list and no pages. `page` are further members that
    its pages have.
    """

    action: str
    answer: Any = None
    body: Any = None
    resource: Resource | None = None
    parameters: tuple[Parameter, ...] = ()
    status: int = 200
    media: tuple[str, ...] = ("application/json",)
    listed: ListSpec | None = None
    page: type[msgspec.Struct] | None = None
    narrowed: ListSpec | None = None
    needs_body: bool = True


def operation(action: str, **more: Any) -> dict[str, Operation]:
    """Return the `opt` of a route handler."""
    return {OPERATION: Operation(action, **more)}


def authorize(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through to a route whose action the caller's role includes."""
    found: Operation = handler.opt[OPERATION]
    if found.action == PUBLIC:
        return
    call = call_of(connection.scope)
    if not may(call.caller(), found.action):
        raise Refused(forbidden(found.action))


def gateway_of(request: Request[Any, Any, Any]) -> Gateway:
    """Return the gateway's parts."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def call(request: Request[Any, Any, Any]) -> Call:
    """Return what the edge found out about a request."""
    return call_of(request.scope)


def answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> ASGIResponse:
    """Answer with JSON that is ready."""
    return ASGIResponse(
        body=body,
        status_code=status,
        media_type="application/json",
        headers=headers or {},
        encoding="utf-8",
    )


def empty() -> ASGIResponse:
    """Answer 204."""
    return ASGIResponse(body=b"", status_code=204)


def respond(answered: Answered) -> ASGIResponse:
    """Answer with what a write came to."""
    return empty() if answered.status == 204 else answer(answered.body, answered.status)


def no_parameters(call: Call) -> None:
    """Refuse any query parameter; raises Refused (400)."""
    if call.query:
        found = only_parameters(call.query)
        if isinstance(found, Rejection):
            raise Refused(found)


def no_body(call: Call) -> None:
    """Refuse a body, but an empty object, where none is of use; raises Refused (400)."""
    if call.body and call.json(dict[str, Any]):
        raise Refused(malformed("malformed_body", "This request takes no body."))


def plain(request: Request[Any, Any, Any]) -> tuple[Gateway, Call]:
    """Return the parts and the call of a request that takes no parameters; raises Refused (400)."""
    asked = call(request)
    no_parameters(asked)
    return gateway_of(request), asked


def bare(request: Request[Any, Any, Any]) -> tuple[Gateway, Call]:
    """Return the same for a request that says everything by its address, without a body."""
    gateway, asked = plain(request)
    no_body(asked)
    return gateway, asked


Write: TypeAlias = Callable[[CommandKey | None], Awaitable[Written]]
# from an object's document to the further members of the answer
More: TypeAlias = Callable[[str], Awaitable[dict[str, Any]]]


async def answer_shown(
    gateway: Gateway,
    call: Call,
    kind: str,
    write: Write,
    resource: Resource,
    key: str,
    *,
    status: int = 200,
    more: More | None = None,
) -> ASGIResponse:
    """Do a write, once for each idempotency key, and answer with the object it was about."""

    async def perform(once: CommandKey | None) -> Answered:
        return await shown(
            gateway, call, kind, await write(once), resource, key, status=status, more=more
        )

    return respond(await gateway.answers.once(call, perform))


async def answer_done(gateway: Gateway, call: Call, kind: str, write: Write) -> ASGIResponse:
    """Do a write that leaves nothing to show, once for each idempotency key, and answer 204."""

    async def perform(once: CommandKey | None) -> Answered:
        return done(gateway, call, kind, await write(once))

    return respond(await gateway.answers.once(call, perform))


async def shown(
    gateway: Gateway,
    call: Call,
    kind: str,
    written: Written,
    resource: Resource,
    key: str,
    *,
    status: int = 200,
    more: More | None = None,
) -> Answered:
    """Return the object that a write was about, or the 202 of one that cannot be seen yet."""
    if not written.is_visible:
        return pending(gateway, call, kind, written, b"{}")
    found = await gateway.reads.document(resource, call.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    body = found.encode() if more is None else merged(found, **await more(found))
    return Answered(status, body, _about(resource, key))


def _about(resource: Resource, key: str) -> tuple[str, ...]:
    """Return the users whose names and addresses an object shows."""
    return (key.rpartition(":")[2],) if resource.noun in {"user", "member"} else ()


def done(gateway: Gateway, call: Call, kind: str, written: Written) -> Answered:
    """Return the 204 of a write that leaves nothing to show, or its 202."""
    if not written.is_visible:
        return pending(gateway, call, kind, written, b"{}")
    return Answered(204, b"")


def pending(gateway: Gateway, call: Call, kind: str, written: Written, more: bytes) -> Answered:
    """Return the 202 of a write that cannot be seen yet; `more` is a JSON object to go with it."""
    task_id = gateway.tasks.of(call.caller(), kind, written)
    members = more[1:-1]
    return Answered(
        202, b'{"task_id":"' + task_id.encode() + b'"' + (b"," + members if members else b"") + b"}"
    )
