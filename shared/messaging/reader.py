"""Reads a stream in order, from a position, without acknowledgements.

The consumer lives on the server for as long as it is asked (an ephemeral pull consumer); the
position is the reader's own. One pull request is out at a time, so at most one batch waits here.
The server sends a heartbeat while it has nothing: two that fail to come, a deleted consumer, a
lost connection or an unknown stream end the reader with `ReaderLostError`, and its owner opens a
new one at the position it has reached. It never waits in silence for what will not come.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared.kernel.ids import new_id
from shared.messaging.connection import on_reconnect

BATCH: Final = 512
MAX_BYTES: Final = 16 * 1024 * 1024
EXPIRES_S: Final = 30
HEARTBEAT_S: Final = 2
SILENCE_S: Final = 2.5 * HEARTBEAT_S
INACTIVE_S: Final = 60.0
API_TIMEOUT_S: Final = 5.0
_NANO: Final = 1_000_000_000
_ACK: Final = "$JS.ACK."
_SHORT: Final = 9
_IDLE: Final = "100"
_EXPIRED: Final = ("404", "408")
_REQUEST_OVER: Final = ("Batch Completed", "Message Size Exceeds MaxBytes")


class ReaderLostError(Exception):
    """Nothing more will come from this reader: open another."""


class Delivery(NamedTuple):
    """One message: its sequence in the stream, and how many were still to come after it.

    Where messages are replaced, `pending` may stay too high (NATS 2.15 counts on).
    """

    subject: str
    sequence: int
    pending: int
    headers: dict[str, str]
    data: bytes


class StreamReader:
    """Reads `stream` from the sequence after `after`; use it as a context manager.

    With `newest_of` it reads the newest message of each subject that matches one of these, and
    then whatever follows.
    """

    def __init__(
        self,
        nats: Client,
        stream: str,
        after: int = 0,
        *,
        newest_of: Sequence[str] = (),
        batch: int = BATCH,
    ) -> None:
        self._nats = nats
        self._stream = stream
        self._batch = batch
        self._name = f"r{new_id().replace('-', '')}"
        self._buffer: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._outstanding = 0
        self._lost: str | None = None
        self._subscription: Subscription | None = None
        self._inbox = nats.new_inbox()
        self._forget = on_reconnect(nats, self._reconnected)
        self._request = msgspec.json.encode(
            {
                "batch": batch,
                "max_bytes": MAX_BYTES,
                "expires": EXPIRES_S * _NANO,
                "idle_heartbeat": int(HEARTBEAT_S * _NANO),
            }
        )
        self.last_sequence = 0
        self.is_caught_up = False
        self._config = ConsumerConfig(
            name=self._name,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=INACTIVE_S,
            mem_storage=True,
            num_replicas=1,
        )
        if newest_of:
            self._config.deliver_policy = DeliverPolicy.LAST_PER_SUBJECT
            self._config.filter_subjects = list(newest_of)
        else:
            self._config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            self._config.opt_start_seq = after + 1

    async def __aenter__(self) -> Self:
        """Make the consumer.

        Then `last_sequence` is where the stream ended, and `is_caught_up` whether all up to there
        was taken: with `arrived`, as nothing more of that is to come.
        """
        try:
            js = self._nats.jetstream(timeout=API_TIMEOUT_S)
            self._subscription = await self._nats.subscribe(self._inbox, cb=self._receive)
            self.last_sequence = (await js.stream_info(self._stream)).state.last_seq
            consumer = await js.add_consumer(self._stream, self._config)
            self.is_caught_up = not consumer.num_pending
        except (NatsError, OSError, TimeoutError) as problem:
            await self._close()
            raise ReaderLostError(f"{self._stream} cannot be read: {problem!r}") from problem
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Forget the consumer; the server drops it when it hears nothing more of it."""
        await self._close()

    async def next(self) -> list[Delivery]:
        """Wait for a message and return all that have arrived, in order; raises ReaderLostError."""
        while not self._buffer:
            if self._lost is not None:
                raise ReaderLostError(self._lost)
            self._arrived.clear()
            await self._ask()
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._arrived.wait()
            except TimeoutError as problem:
                raise ReaderLostError(f"{self._stream} has gone silent") from problem
        return self.arrived()

    def arrived(self) -> list[Delivery]:
        """Return what has arrived and was not taken yet, without waiting."""
        taken = [self._delivery(message) for message in self._buffer]
        self._buffer.clear()
        return taken

    def _delivery(self, message: Msg) -> Delivery:
        tokens = message.reply.split(".")
        first = 5 if len(tokens) == _SHORT else 7  # with a domain there are two more in front
        sequence, pending = int(tokens[first]), int(tokens[first + 3])
        if sequence >= self.last_sequence or not pending:
            self.is_caught_up = True
        return Delivery(message.subject, sequence, pending, message.headers or {}, message.data)

    async def _ask(self) -> None:
        if self._outstanding > 0:
            return
        self._outstanding = self._batch
        try:
            await self._nats.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}",
                self._request,
                reply=self._inbox,
            )
        except NatsError as problem:
            raise ReaderLostError(f"{self._stream} cannot be asked: {problem!r}") from problem

    async def _receive(self, message: Msg) -> None:
        if message.reply.startswith(_ACK):
            self._outstanding -= 1
            self._buffer.append(message)
        else:
            self._control(message.headers or {})
        self._arrived.set()

    def _control(self, headers: dict[str, str]) -> None:
        status, text = headers.get("Status", ""), headers.get("Description", "")
        if status == _IDLE:
            return
        if status in _EXPIRED or text.startswith(_REQUEST_OVER):
            self._outstanding = 0
        else:
            self._lose(f"{self._stream}: {status} {text}")

    async def _reconnected(self) -> None:
        self._lose(f"{self._stream}: the connection was lost")

    def _lose(self, why: str) -> None:
        self._lost = why
        self._arrived.set()

    async def _close(self) -> None:
        self._forget()
        subscription, self._subscription = self._subscription, None
        if subscription is None or self._nats.is_closed:
            return
        try:
            await subscription.unsubscribe()
            await self._nats.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}")
        except NatsError:
            return  # without a server there is nothing to tidy up; the consumer ends by itself
