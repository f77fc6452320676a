"""Telemetry: heartbeats, ticks and samples over core NATS; what is lost is lost (D10)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.messaging.connection import AWAY
from shared.observability.logging import get_logger

log = get_logger(__name__)
T = TypeVar("T", bound=msgspec.Struct)

MAX_PENDING_MESSAGES = 8_192
MAX_PENDING_BYTES = 32 * 1024 * 1024


async def publish(nats: Client, subject: str, message: msgspec.Struct) -> bool:
    """Publish a message; returns False, having dropped it, while there is no server."""
    try:
        await nats.publish(subject, msgspec.json.encode(message))
    except AWAY:
        return False
    return True


async def subscribe(
    nats: Client,
    subject: str,
    kind: type[T],
    callback: Callable[[T], Awaitable[None]],
    *,
    queue: str = "",
) -> Subscription:
    """Call `callback` with each message, one after the other.

    A message that does not decode is logged and skipped. When more than a bounded number wait, the
    client drops the newest and logs a slow consumer. `queue` shares the messages among a group.
    """
    decoder = msgspec.json.Decoder(kind)

    async def receive(message: Msg) -> None:
        try:
            decoded = decoder.decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            log.warning("telemetry_malformed", subject=message.subject, problem=str(problem))
            return
        await callback(decoded)

    return await nats.subscribe(
        subject,
        queue=queue,
        cb=receive,
        pending_msgs_limit=MAX_PENDING_MESSAGES,
        pending_bytes_limit=MAX_PENDING_BYTES,
    )
