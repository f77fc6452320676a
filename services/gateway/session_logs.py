"""The log of a session's kernel, for a caller who may read it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from services.gateway.gateway import Gateway
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.live import Subscription
from services.gateway.logs import Sight
from services.gateway.reads.sessions import SESSIONS
from shared.contracts.scheduler import TERMINAL_STATUSES
from shared.kernel.rejections import Rejection, not_found, unavailable


async def session_log(
    gateway: Gateway, call: Call, session_id: str, wanted: str | None, *, follow: bool
) -> AsyncIterator[bytes]:
    """Return a kernel's log piece by piece; raises Refused before anything is sent."""
    sight = await _look(gateway, session_id, wanted)
    if sight is None:
        raise Refused(not_found("kernel", (wanted or session_id)[:64]))
    gateway.session_use.touch(session_id)
    if follow:
        return await _followed(gateway, call, session_id, wanted)
    if sight.kernel["agent_id"] is None:
        return _nothing()
    first = await gateway.logs.piece(sight.kernel, 0)
    if isinstance(first, Rejection):
        text = f"The agent {sight.kernel['agent_id']} that keeps the log does not answer now."
        raise Refused(unavailable("agent_away", text, 5))
    if not first.found:
        if sight.is_over:
            raise Refused(not_found("log", session_id[:64]))
        return _nothing()
    return gateway.logs.whole(sight.kernel, first)


async def _followed(
    gateway: Gateway, call: Call, session_id: str, wanted: str | None
) -> AsyncIterator[bytes]:
    topics = frozenset({f"session:{session_id}"})
    principal = call.caller()
    subscription = gateway.live.subscribe(
        principal.user_id, topics, credential=principal.credential
    )
    if subscription is None:
        raise Refused(unavailable("too_many_streams", "Too many streams are open; close one.", 5))
    return _pieces(gateway, subscription, session_id, wanted)


async def _pieces(
    gateway: Gateway, subscription: Subscription, session_id: str, wanted: str | None
) -> AsyncIterator[bytes]:
    async def look() -> Sight | None:
        return None if subscription.is_closed else await _look(gateway, session_id, wanted)

    async def pause(seconds: float) -> None:
        await subscription.next(seconds)

    try:
        with gateway.session_use.stream(session_id):
            async for piece in gateway.logs.follow(look, pause):
                yield piece
    finally:
        gateway.live.unsubscribe(subscription)


async def _look(gateway: Gateway, session_id: str, wanted: str | None) -> Sight | None:
    found = await gateway.reads.documents(SESSIONS, [session_id])
    if not found:
        return None
    session: dict[str, Any] = msgspec.json.decode(found[0])
    kernels: list[dict[str, Any]] = session["kernels"]
    chosen = next(
        (item for item in kernels if wanted is None or wanted in {item["id"], item["hostname"]}),
        None,
    )
    if chosen is None:
        return None
    is_over = session["status"] in TERMINAL_STATUSES or chosen["status"] in TERMINAL_STATUSES
    return Sight(chosen, is_over)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
