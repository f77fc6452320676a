"""Queries: one peer asks another over core NATS; `qry.<service>.<Type>` unless told otherwise.

An answer is the bare JSON of its struct. A refusal has the header `qm-status: rejected` and a
`Rejection` for a body. Queries change nothing, so the asker may repeat them freely.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError

from shared.contracts.subjects import query_subject
from shared.kernel.clock import Clock, SystemClock, render_time
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.connection import AWAY
from shared.messaging.envelope import DEADLINE, STATUS
from shared.messaging.requests import Requester
from shared.messaging.work import WorkQueue
from shared.observability.logging import get_logger

log = get_logger(__name__)

CONCURRENCY: Final = 64
QUEUE_LIMIT: Final = 512
DEFAULT_TIMEOUT_S: Final = 5.0
REJECTED: Final = "rejected"

Q = TypeVar("Q", bound=msgspec.Struct)
A = TypeVar("A")
_rejection_decoder = msgspec.json.Decoder(Rejection)


class QueryServer:
    """Answers questions, a bounded number at once and a bounded line.

    `outages` are the exceptions that mean a part is away for now. Who does not share the questions
    with other processes of its service gets them all.
    """

    def __init__(
        self,
        nats: Client,
        service: str,
        *,
        concurrency: int = CONCURRENCY,
        queue_limit: int = QUEUE_LIMIT,
        clock: Clock | None = None,
        outages: tuple[type[Exception], ...] = (OSError,),
        shares: bool = True,
    ) -> None:
        self._nats = nats
        self._service = service
        self._clock = clock or SystemClock()
        self._outages: tuple[type[Exception], ...] = (TimeoutError, *outages)
        self._group = service if shares else ""
        self._work = WorkQueue(concurrency, queue_limit)
        self._subscriptions: list[Subscription] = []

    async def answer(
        self,
        kind: type[Q],
        handler: Callable[[Q], Awaitable[Any]],
        *,
        subject: str | None = None,
    ) -> None:
        """Answer questions of one type from now on with what `handler` returns.

        That is anything msgspec can encode, or a Rejection.
        """
        where = subject or query_subject(self._service, kind.__name__)
        receive = partial(self._receive, msgspec.json.Decoder(kind), handler)
        self._subscriptions.append(await self._nats.subscribe(where, queue=self._group, cb=receive))

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Take no more questions and finish those taken, as far as time allows."""
        for subscription in self._subscriptions:
            try:
                await subscription.unsubscribe()
            except AWAY as problem:
                log.info("query_not_unsubscribed", problem=repr(problem))
        self._subscriptions.clear()
        await self._work.finish(timeout_s)

    async def _receive(
        self, decoder: msgspec.json.Decoder[Q], handler: Callable[[Q], Awaitable[Any]], message: Msg
    ) -> None:
        if self._work.is_full:
            text = f"{self._service} has more to answer than it can; try again."
            await self._refuse(message, unavailable("overloaded", text))
            await asyncio.sleep(0)  # let those run that were taken
            return
        try:
            query = decoder.decode(message.data)
            deadline = datetime.fromisoformat((message.headers or {}).get(DEADLINE, ""))
        except (msgspec.DecodeError, ValueError) as problem:
            await self._refuse(
                message,
                Rejection(kind="malformed", code="malformed_query", message=str(problem)),
            )
            return
        self._work.offer(partial(self._run, handler, query, deadline, message))

    async def _run(
        self,
        handler: Callable[[Q], Awaitable[Any]],
        query: Q,
        deadline: datetime,
        message: Msg,
    ) -> None:
        if self._clock.now() >= deadline:
            return  # whoever asked has gone
        try:
            answer = await handler(query)
        except self._outages as problem:
            log.warning("query_outage", query=type(query).__name__, problem=repr(problem))
            text = f"{self._service} can't answer at the moment; try again."
            answer = unavailable("away", text, retry_after_s=2)
        except Exception:  # the last line of defence: a bug is answered, not silent
            log.exception("query_failed", query=type(query).__name__)
            answer = unavailable("internal_error", f"{self._service} failed on this question.")
        if isinstance(answer, Rejection):
            await self._refuse(message, answer)
            return
        try:
            await self._reply(message, msgspec.json.encode(answer), None)
        except MaxPayloadError:
            text = "The answer is too large to be sent; ask for less."
            await self._refuse(message, Rejection(kind="too_large", code="too_large", message=text))

    async def _refuse(self, message: Msg, rejection: Rejection) -> None:
        await self._reply(message, msgspec.json.encode(rejection), {STATUS: REJECTED})

    async def _reply(self, message: Msg, body: bytes, headers: dict[str, str] | None) -> None:
        if not message.reply:
            return
        try:
            await self._nats.publish(message.reply, body, headers=headers)
        except AWAY as problem:
            log.info("answer_lost", subject=message.subject, problem=repr(problem))


class QueryClient:
    """Asks peers; every failure to get an answer comes back as a Rejection."""

    def __init__(self, nats: Client, *, clock: Clock | None = None) -> None:
        self._requester = Requester(nats)
        self._clock = clock or SystemClock()

    async def ask(
        self,
        query: msgspec.Struct,
        type: type[A],  # noqa: A002  # reads as the question it is: ask(query, type=Answer)
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        subject: str | None = None,
    ) -> A | Rejection:
        """Ask and return the decoded answer, or why there is none.

        `subject` is needed for a query whose class names no SERVICE.
        """
        service = getattr(query, "SERVICE", None)
        where = subject or query_subject(str(service), query.__class__.__name__)
        peer = f"The {service} service" if service else "The other side"
        deadline = self._clock.now() + timedelta(seconds=timeout_s)
        headers = {"content-type": "application/json", DEADLINE: render_time(deadline)}
        answer = await self._requester.request(
            peer, where, msgspec.json.encode(query), headers, timeout_s
        )
        if isinstance(answer, Rejection):
            return answer
        body, found = answer
        try:
            if found.get(STATUS) == REJECTED:
                return _rejection_decoder.decode(body)
            return msgspec.json.decode(body, type=type)
        except msgspec.DecodeError as problem:
            log.error("bad_answer", subject=where, problem=str(problem))  # noqa: TRY400  # not ours
            return unavailable("bad_answer", f"{peer} answered what can't be understood.")
