"""Commands: one request, one answer, over core NATS; `cmd.<service>.<Type>`.

A command may be lost on the way, so its sender repeats it under the same idempotency key; no
answer in time means that the outcome is unknown, not that it failed. The server never keeps
silent: what it can't take, can't read or can't do is answered with a rejection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec
from nats.aio.msg import Msg
from nats.errors import MaxPayloadError

from shared.contracts.base import Accepted, Command, Meta, Rejected, Reply, ServiceName
from shared.contracts.subjects import command_subject
from shared.eventlog.records import CommandKey
from shared.kernel.clock import Clock, SystemClock
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.command_client import CommandClient
from shared.messaging.connection import AWAY
from shared.messaging.envelope import Envelope, read_headers
from shared.messaging.work import WorkQueue
from shared.observability.logging import bound, get_logger
from shared.observability.metrics import counter, histogram

if TYPE_CHECKING:
    from faststream.nats import NatsBroker, NatsMessage
    from faststream.nats.subscriber.usecases import LogicSubscriber

__all__ = ["CommandClient", "CommandContext", "CommandServer", "Outcome"]

log = get_logger(__name__)

CONCURRENCY: Final = 32
QUEUE_LIMIT: Final = 512
OVERRUN_S: Final = 30.0
FOLLOW_S: Final = 2.0
PENDING_LIMIT: Final = 65_536

_handled = counter("commands_total", "Commands by type and outcome.", ("type", "outcome"))
_seconds = histogram("command_seconds", "Time from taking a command to its answer.", ("type",))

C = TypeVar("C", bound=Command)
Outcome: TypeAlias = Accepted | Rejection


class Replica(Protocol):
    """What a service knows of others, some way behind them."""

    async def reached(self, seen: Mapping[str, int], timeout_s: float) -> bool:
        """Wait until it is as far as somebody has seen of its sources; False when not in time."""
        ...


class CommandContext(NamedTuple):
    """The circumstances of a command that is being handled.

    `meta` is what its events shall carry: the sender's, caused by this command. `idempotency` is
    None when the sender will not repeat it. `seen` is how far the sender has followed others.
    """

    meta: Meta
    idempotency: CommandKey | None
    deadline: datetime
    command_id: str
    seen: Mapping[str, int] = MappingProxyType({})

    def remaining_s(self, now: datetime) -> float:
        """Return how many seconds the sender still waits; negative when it has gone."""
        return (self.deadline - now).total_seconds()


class _Entry(NamedTuple):
    decoder: msgspec.json.Decoder[Any]
    handler: Callable[[Any, CommandContext], Awaitable[Outcome]]


class _Refused(Exception):  # noqa: N818  # it carries a refusal from the parser to the answer
    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection


def _malformed(code: str, message: str) -> Rejection:
    return Rejection(kind="malformed", code=code, message=message)


async def _as_is(message: "NatsMessage") -> "NatsMessage":
    return message


class CommandServer:
    """Answers the commands of one service, a bounded number at once and a bounded line.

    Give all handlers before the broker starts. `outages` are the exceptions that mean a part is
    away for now; any other exception of a handler is a bug: it is logged and answered as such.
    Processes that are equals share the commands. Where one leads it gets them all: the bus would go
    on giving a share to a predecessor that was stopped and that it takes for alive.
    """

    def __init__(
        self,
        broker: "NatsBroker",
        service: ServiceName,
        *,
        concurrency: int = CONCURRENCY,
        queue_limit: int = QUEUE_LIMIT,
        clock: Clock | None = None,
        outages: tuple[type[Exception], ...] = (OSError,),
        shares: bool = True,
    ) -> None:
        self._service = service
        self._clock = clock or SystemClock()
        self._outages: tuple[type[Exception], ...] = (TimeoutError, *outages)
        self._entries: dict[str, _Entry] = {}
        self._replicas: list[Replica] = []
        self._work = WorkQueue(concurrency, queue_limit)
        self._stopping = False
        text = f"The {service} service has more to do than it can take; try again."
        refusal = Rejected(rejection=unavailable("overloaded", text))
        self._overloaded = msgspec.json.encode(refusal)
        self._subscriber: LogicSubscriber[Any] = broker.subscriber(
            command_subject(service, "*"),
            queue=service if shares else "",
            no_reply=True,
            decoder=_as_is,
            pending_msgs_limit=PENDING_LIMIT,
        )
        self._subscriber(self._receive)
        self._consume = self._subscriber.consume
        self._subscriber.consume = self._admit  # type: ignore[method-assign, assignment]  # see _admit

    @property
    def load(self) -> tuple[int, int]:
        """How many commands run, and how many are in line."""
        return self._work.running, self._work.waiting

    def handle(
        self, kind: type[C], handler: Callable[[C, CommandContext], Awaitable[Outcome]]
    ) -> None:
        """Let `handler` answer commands of one type; it returns a refusal, never raises one."""
        self._entries[kind.__name__] = _Entry(msgspec.json.Decoder(kind), handler)

    def follow(self, replica: Replica) -> None:
        """Decide no command before `replica` has what its sender had seen."""
        self._replicas.append(replica)

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more commands, finish those taken; what isn't done in time is answered so."""
        subscription = self._subscriber.subscription
        if subscription is not None:
            self._subscriber.subscription = None
            try:
                async with asyncio.timeout(timeout_s):
                    await subscription.drain()  # type: ignore[attr-defined]  # core subscriptions do
            except (*AWAY, TimeoutError) as problem:
                log.info("commands_not_drained", problem=repr(problem))
        left = await self._work.finish(timeout_s)
        self._stopping = True
        for job in left:
            await job()

    async def _admit(self, raw: Msg) -> None:
        """Turn a message away before FastStream has spent on it what doing it would cost.

        The client calls this again and again without giving way while messages wait, so it gives
        way itself: those that were taken must go on.
        """
        if self._work.is_full:
            _handled.labels("", "overloaded").inc()
            await self._respond(raw, self._overloaded)
            await asyncio.sleep(0)
        else:
            await self._consume(raw)

    async def _receive(self, message: "NatsMessage") -> None:
        try:
            entry, command, envelope = self._read(message)
        except _Refused as refused:
            log.warning("command_refused", subject=message.raw_message.subject, why=str(refused))
            await self._answer(message, refused.rejection)
            await asyncio.sleep(0)
            return
        self._work.offer(partial(self._run, entry, command, envelope, message))

    def _stopped(self) -> Rejection:
        return unavailable("stopping", f"The {self._service} service is stopping; try again.")

    def _read(self, message: "NatsMessage") -> tuple[_Entry, Command, Envelope]:
        kind = message.raw_message.subject.rsplit(".", 1)[-1]
        entry = self._entries.get(kind)
        if entry is None:
            text = f"{self._service} knows no command {kind[:64]}."
            raise _Refused(_malformed("unknown_command", text))
        try:
            envelope = read_headers(message.headers)
        except (ValueError, msgspec.DecodeError) as problem:
            raise _Refused(_malformed("malformed_headers", str(problem))) from problem
        try:
            command = entry.decoder.decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise _Refused(_malformed("malformed_command", str(problem))) from problem
        return entry, command, envelope

    async def _perform(self, entry: _Entry, command: Command, envelope: Envelope) -> Outcome:
        remaining_s = (envelope.deadline - self._clock.now()).total_seconds()
        if self._stopping:
            return self._stopped()
        if remaining_s <= 0:
            log.info("command_expired", command=type(command).__name__, late_s=-remaining_s)
            return unavailable("deadline_passed", "The command came after its deadline.")
        context = CommandContext(
            meta=msgspec.structs.replace(envelope.meta, causation_id=envelope.id),
            idempotency=_key(envelope),
            deadline=envelope.deadline,
            command_id=envelope.id,
            seen=envelope.seen,
        )
        wait_s = min(remaining_s, FOLLOW_S)
        for replica in self._replicas:
            if not await replica.reached(envelope.seen, wait_s):
                log.warning("replica_behind", command=type(command).__name__, seen=envelope.seen)
                text = (
                    f"The {self._service} service has not heard of the latest changes; try again."
                )
                return unavailable("behind", text)
        try:
            async with asyncio.timeout(remaining_s + OVERRUN_S):
                return await entry.handler(command, context)
        except self._outages as problem:
            log.warning("command_outage", command=type(command).__name__, problem=repr(problem))
            text = f"The {self._service} service can't reach its log at the moment; try again."
            return unavailable("log_away", text, retry_after_s=2)
        except Exception:  # the last line of defence: a bug is answered, not silent
            log.exception("command_failed", command=type(command).__name__)
            return unavailable("internal_error", "The service failed on this command.")

    async def _answer(self, message: "NatsMessage", outcome: Outcome) -> None:
        reply: Reply = Rejected(rejection=outcome) if isinstance(outcome, Rejection) else outcome
        raw = message.raw_message
        try:
            await self._respond(raw, msgspec.json.encode(reply))
        except MaxPayloadError:
            log.error("reply_too_large", subject=raw.subject)  # noqa: TRY400  # nothing to trace
            text = "The command is done, but its answer is too large to be sent."
            reply = Rejected(rejection=unavailable("answer_too_large", text))
            await self._respond(raw, msgspec.json.encode(reply))

    async def _respond(self, raw: Msg, body: bytes) -> None:
        if not raw.reply:
            return
        raw.headers = None  # an answer has no use for the headers of its question
        try:
            await raw.respond(body)
        except AWAY as problem:
            log.info("reply_lost", subject=raw.subject, problem=repr(problem))

    async def _run(
        self, entry: _Entry, command: Command, envelope: Envelope, message: "NatsMessage"
    ) -> None:
        started = self._clock.monotonic()
        with bound(correlation_id=envelope.meta.correlation_id, command_id=envelope.id):
            try:
                outcome = await self._perform(entry, command, envelope)
            except asyncio.CancelledError:
                await self._answer(message, self._stopped())
                raise
            await self._answer(message, outcome)
        kind = type(command).__name__
        code = outcome.code if isinstance(outcome, Rejection) else "accepted"
        _handled.labels(kind, code).inc()
        _seconds.labels(kind).observe(self._clock.monotonic() - started)


def _key(envelope: Envelope) -> CommandKey | None:
    if envelope.key is None or envelope.digest is None:
        return None
    return CommandKey(envelope.key, envelope.digest)
