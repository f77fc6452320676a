"""The relay: makes the JetStream stream equal to the log, sequence by position.

One relay of a service is active (`sole_lock` says which); a second one would be harmless,
because every publish names the sequence it must follow. The relay remembers nothing: the stream
itself says how far it is, so a wiped stream or a lost tail is published again. What it never does
is to overwrite or to skip: when the stream holds what the log does not, it stops with an alarm.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from shared.contracts.subjects import event_stream
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.publishing import OutOfStepError, Publisher, StreamAwayError
from shared.eventlog.sole_lock import SoleLock
from shared.kernel.cancellation import is_wanted
from shared.kernel.cancelling import cancel
from shared.messaging.cloudevents import HASH
from shared.messaging.streams import API_TIMEOUT_S, ensure_event_stream
from shared.observability.health import Check
from shared.observability.logging import get_logger
from shared.observability.metrics import counter, gauge

log = get_logger(__name__)

BATCH: Final = 256
# Only what no signal tells of is looked for on a tick: a stream deleted while the log is quiet,
# appends of another process.
WATCH_INTERVAL_S: Final = 2.0
LET_GO_S: Final = 2.0
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 2.0
UNHEALTHY_LAG: Final = 1000
_LOCK_CLASS: Final = 0x716D_0002
_PASSING: Final = (
    LogUnavailable,
    OutOfStepError,
    StreamAwayError,
    NatsError,
    TimeoutError,
    OSError,
)

_lag = gauge(
    "relay_lag_events", "Events in the log that the stream does not hold yet.", ("service",)
)
_published = counter("relay_published_total", "Events published to the stream.", ("service",))


class LogBehindStream(Exception):  # noqa: N818  # the name of an alarm
    """The stream holds what the log does not: Postgres was restored to an earlier point.

    Nothing is published any more. An operator decides which of the two is right; deleting the
    stream lets the log rule.
    """


class Relay:
    """Publishes the log of one service; `run` works until it is cancelled or must stop."""

    def __init__(self, event_log: EventLog, nats: Client) -> None:
        self._log = event_log
        self._nats = nats
        self._js = nats.jetstream(timeout=API_TIMEOUT_S)
        self._service = event_log.service
        self._stream = event_stream(self._service)
        self._publisher = Publisher(nats, event_log.codec)
        self._wake = asyncio.Event()
        self._head = 0
        self._position: int | None = None
        self._state = "starting"

    @property
    def lag(self) -> int | None:
        """How many events the stream lacks; None while this relay does not know."""
        return None if self._position is None else max(0, self._head - self._position)

    def check(self) -> Check:
        """Answer for health: fine while it leads and keeps up, or stands by for one that does."""
        if self._state in ("leading", "standing by"):
            behind = self.lag or 0
            state: Any = "ok" if behind <= UNHEALTHY_LAG else "failed"
            return Check(state=state, detail=self._state, lag=behind)
        return Check(state="degraded", detail=self._state, lag=self.lag)

    async def run(self) -> None:
        """Lead whenever the lock is free, and publish; raises LogBehindStream.

        Also raises SequenceMismatchError, which no retry would cure.
        """
        stop_listening = self._log.on_append(lambda appended: self._appended(appended.last))
        try:
            await self._publisher.open()
            pause_s = RETRY_MIN_S
            while is_wanted():
                try:
                    async with self._leadership() as holding:
                        await self._follow(holding)
                except _PASSING as problem:
                    if self._state == "leading":
                        pause_s = RETRY_MIN_S
                    self._retrying(problem)
                    await asyncio.sleep(pause_s)  # the other side is away: give it time
                    pause_s = min(2 * pause_s, RETRY_MAX_S)
        finally:
            stop_listening()
            await self._publisher.close()

    def _appended(self, last: int) -> None:
        self._head = max(self._head, last)
        if self._position is not None:
            _lag.labels(self._service).set(self._head - self._position)
        self._wake.set()

    def _retrying(self, problem: BaseException) -> None:
        text = f"{type(problem).__name__}: {problem}"
        self._position = None
        if self._state != text:
            log.warning("relay_interrupted", service=self._service, problem=text)
        self._state = text

    @asynccontextmanager
    async def _leadership(self) -> AsyncIterator[asyncio.Task[None]]:
        """Hold the service's place, on a connection of its own, as long as needed.

        Gives the task that does; it ends when the place is lost.
        """
        with reaching_postgres():
            connection = await self._log.pool.acquire()
        holding: asyncio.Task[None] | None = None
        try:
            self._state = "standing by"
            holding = await self._take(SoleLock(connection, _LOCK_CLASS, self._service))
            holding.add_done_callback(lambda _: self._wake.set())
            yield holding
        finally:
            if holding is not None:
                await cancel((holding,), LET_GO_S)
            with suppress(asyncpg.InterfaceError):  # it is gone already
                connection.terminate()  # with it the lock goes, whatever state this is left in
            await self._log.pool.release(connection)

    async def _take(self, lock: SoleLock) -> asyncio.Task[None]:
        await lock.take()
        return asyncio.create_task(lock.keep())

    async def _follow(self, holding: asyncio.Task[None]) -> None:
        """Publish from where the stream is, as long as the place is held."""
        position = await self._synchronise()
        self._state = "leading"
        log.info("relay_leading", service=self._service, position=position)
        while is_wanted():
            self._wake.clear()
            events = await self._log.read(position, BATCH)
            if events:
                if events[0].position != position + 1:
                    raise LogBehindStream(f"event {position + 1} is missing in the log")
                await self._publisher.publish(events)
                position = events[-1].position
                _published.labels(self._service).inc(len(events))
            self._position = position
            self._appended(position)
            if len(events) < BATCH:
                await self._sleep(position)
            if holding.done():
                await holding

    async def _sleep(self, position: int) -> None:
        """Wait for the next append; on a tick, look whether the stream is still there."""
        if self._head > position:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(WATCH_INTERVAL_S):
                await self._wake.wait()
        except TimeoutError:
            try:
                state = (await self._js.stream_info(self._stream)).state
            except NotFoundError as gone:
                raise OutOfStepError("the stream is gone") from gone
            if (state.messages, state.last_seq) != (position, position):
                found = f"{state.messages} events up to {state.last_seq}"
                raise OutOfStepError(f"the stream holds {found}, not {position}") from None

    async def _synchronise(self) -> int:
        """Return the stream's last sequence, after making sure that the log continues it."""
        last = await ensure_event_stream(self._js, self._service)
        state = (await self._js.stream_info(self._stream)).state
        head = self._head = await self._log.head()
        if last > head:
            raise self._alarm(f"the stream is at {last}, the log only at {head}")
        if state.messages != state.last_seq:
            # its storage lost events in the middle: the log has them, and sequences must not shift
            log.error("stream_incomplete", service=self._service, held=state.messages, last=last)
            await self._js.delete_stream(self._stream)
            return await ensure_event_stream(self._js, self._service)
        if last:
            await self._compare(last)
        return last

    async def _compare(self, last: int) -> None:
        """Check that the stream's last event is the log's: by the chain, so are all before it."""
        message = await self._js.get_msg(self._stream, last)
        found = (message.headers or {}).get(HASH)
        (stored,) = await self._log.read(last - 1, 1)
        if found != stored.hash.hex():
            raise self._alarm(f"event {last} of the stream is not event {last} of the log")

    def _alarm(self, text: str) -> LogBehindStream:
        self._state = f"stopped: {text}"
        self._position = None
        log.critical("log_behind_stream", service=self._service, problem=text)
        return LogBehindStream(f"{self._service}: {text}")
