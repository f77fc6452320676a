"""Publish a run of events to JetStream, many in flight, each only at its own sequence.

A publish is a plain message with a reply subject of ours that ends in the position; the server's
acknowledgements come back there. nats-py's own `publish_async` never resolves a refused publish,
and one request a message costs a task and a future each.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.contracts.subjects import event_subject
from shared.eventlog.codec import EventCodec
from shared.eventlog.records import StoredEvent
from shared.messaging.cloudevents import event_headers

ACK_TIMEOUT_S: Final = 5.0
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
NOBODY_THERE: Final = "503"


class OutOfStepError(Exception):
    """The stream is not where the relay thought: look again where it is."""


class StreamAwayError(Exception):
    """JetStream did not take an event or did not answer; it may have stored it."""


class SequenceMismatchError(Exception):
    """JetStream stored an event at another sequence than its position."""


class _ApiError(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _ApiError | None = None


_ack_decoder: Final = msgspec.json.Decoder(_Ack)


class Publisher:
    """Publishes events of one service; one run at a time."""

    def __init__(self, nats: Client, codec: EventCodec) -> None:
        self._nats = nats
        self._codec = codec
        self._inbox = nats.new_inbox()
        self._subscription: Subscription | None = None
        self._outstanding: set[int] = set()
        self._answer: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Start to listen for acknowledgements; the client renews this when it reconnects."""
        self._subscription = await self._nats.subscribe(f"{self._inbox}.*", cb=self._receive)

    async def close(self) -> None:
        """Stop to listen."""
        if self._subscription is not None and not self._nats.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def publish(self, events: Sequence[StoredEvent]) -> None:
        """Publish consecutive events and wait until the stream holds all of them.

        Raises OutOfStepError when the stream is not just before the first, StreamAwayError when
        JetStream refuses or keeps silent, SequenceMismatchError (a fault), and nats-py's errors
        while disconnected.
        """
        self._outstanding = {event.position for event in events}
        self._answer = asyncio.get_running_loop().create_future()
        try:
            for event in events:
                await self._send(event)
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._answer
        except TimeoutError as problem:
            text = f"{len(self._outstanding)} events were not acknowledged"
            raise StreamAwayError(text) from problem
        finally:
            self._answer.cancel()
            self._answer = None

    async def _send(self, event: StoredEvent) -> None:
        aggregate, key = self._codec.address(event.stream)
        headers = event_headers(self._codec.service, event)
        headers["Nats-Expected-Last-Sequence"] = str(event.position - 1)
        await self._nats.publish(
            event_subject(self._codec.service, aggregate, key, event.type),
            event.data,
            f"{self._inbox}.{event.position}",
            headers,
        )

    async def _receive(self, message: Msg) -> None:
        answer = self._answer
        if answer is None or answer.done():  # the rest of a run that has failed already
            return
        position = int(message.subject.rsplit(".", 1)[1])
        if position not in self._outstanding:
            return
        problem = _problem(message, position)
        if problem is not None:
            answer.set_exception(problem)
            return
        self._outstanding.discard(position)
        if not self._outstanding:
            answer.set_result(None)


def _problem(message: Msg, position: int) -> Exception | None:
    if message.headers and message.headers.get("Status") == NOBODY_THERE:
        return StreamAwayError("no stream takes these events")
    ack = _ack_decoder.decode(message.data)
    if ack.error is not None:
        if ack.error.err_code in WRONG_LAST_SEQUENCE:
            return OutOfStepError(ack.error.description)
        return StreamAwayError(f"{ack.error.err_code}: {ack.error.description}")
    if ack.seq != position:
        return SequenceMismatchError(f"event {position} is stored at sequence {ack.seq}")
    return None
