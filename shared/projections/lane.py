"""One generation of a projection following one source: batches in, one transaction each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
from nats.aio.client import Client

from shared.contracts.subjects import event_stream
from shared.eventlog.codec import EventCodec
from shared.eventlog.records import Recorded
from shared.messaging.reader import Delivery, ReaderLostError, StreamReader
from shared.observability.logging import get_logger
from shared.observability.metrics import counter, gauge
from shared.projections.decoding import GapError, PoisonError, decode, follows
from shared.projections.generations import Generations
from shared.projections.projection import NotYet, Projection, linger_of
from shared.projections.tap import Tap
from shared.projections.transactions import transaction

log = get_logger(__name__)

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
STALLED_MIN_S: Final = 0.5
STALLED_MAX_S: Final = 30.0
_LABELS: Final = ("projection", "source")
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)

_lag = gauge("projection_lag_events", "Events of a source not shown yet.", _LABELS)
_stalled = gauge("projection_stalled", "1 while a projection stands still.", _LABELS)
_applied = counter("projection_events_total", "Events passed by the live generation.", _LABELS)


def is_outage(problem: Exception) -> bool:
    """Tell whether Postgres is away, full or too busy: the same may work a moment later."""
    # asyncpg's word for an argument that it can't encode is an InterfaceError and a ValueError
    return isinstance(problem, _AWAY) and not isinstance(problem, ValueError)


class RetiredError(Exception):
    """Another generation has taken over: this one has nothing more to do."""


class Lane:
    """Follows one source for one generation; `run` ends with RetiredError or by cancellation.

    `shown` tells the live generation. `serial` keeps the lanes of one generation from writing at
    the same time. `advanced` is awaited after each commit with the events that are in since.
    `before` is where it stood until the last commit; `tap`, if any, spares it the stream.
    """

    def __init__(
        self,
        projection: Projection,
        generations: Generations,
        number: int,
        source: str,
        codec: EventCodec,
        *,
        pool: asyncpg.Pool,
        nats: Client,
        position: int,
        shown: bool,
        serial: asyncio.Lock,
        advanced: Callable[["Lane", Sequence[Recorded]], Awaitable[None]],
    ) -> None:
        self.projection = projection
        self.number = number
        self.source = source
        self.position = position
        self.before = position
        self.tap: Tap | None = None
        self.shown = shown
        self.target: int | None = None
        self.stalled = ""
        self.waiting = "has not started"
        self._generations = generations
        self._tables = generations.tables(number)
        self._codec = codec
        self._pool = pool
        self._nats = nats
        self._serial = serial
        self._advanced = advanced
        self._resume = asyncio.Event()
        self._hurry = asyncio.Event()
        self._wanted = 0
        self._linger_s = linger_of(projection)
        self._patience_s = STALLED_MIN_S
        self._labels = (projection.name, source)

    @property
    def lag(self) -> int | None:
        """How many events are known to be missing; None when nothing is known."""
        return None if self.target is None else max(self.target - self.position, 0)

    def resume(self) -> None:
        """Try again at once if it is stalled."""
        self._resume.set()

    def hurry(self, position: int) -> None:
        """Gather no longer until `position` is written: somebody waits for it."""
        self._wanted = max(self._wanted, position)
        self._hurry.set()

    async def run(self) -> None:
        """Follow the source for good; what is wrong meanwhile is in `stalled` and `waiting`."""
        pause_s = BACKOFF_MIN_S
        while True:
            before = self.position
            try:
                await self._follow()
            except (ReaderLostError, NotYet, *_AWAY) as problem:
                self._wait(f"{type(problem).__name__}: {problem}")
                pause_s = (
                    BACKOFF_MIN_S if self.position > before else min(pause_s * 2, BACKOFF_MAX_S)
                )
                await asyncio.sleep(pause_s)
            except (GapError, PoisonError) as problem:
                await self._stall(str(problem))
                pause_s = BACKOFF_MIN_S

    async def _follow(self) -> None:
        if self.tap is not None and self.tap.covers(self.position):
            await self._follow_tap(self.tap)
        async with StreamReader(self._nats, event_stream(self.source), self.position) as reader:
            await self._opened(reader.last_sequence)
            while True:
                deliveries = await reader.next()
                if self._linger_s and not deliveries[-1].pending:
                    deliveries += await self._gather(reader)
                await self._take(deliveries)
                if self.tap is not None and self.tap.covers(self.position):
                    return

    async def _follow_tap(self, tap: Tap) -> None:
        """Take what others have decoded, for as long as it comes."""
        await self._opened(self.position)
        while await tap.wait(self.position):
            await self._linger()
            if not tap.covers(self.position):
                return
            events, position = tap.take(self.position)
            await self._apply(events, position, position)

    async def _gather(self, reader: StreamReader) -> list[Delivery]:
        """Return what else comes until somebody waits, or for as long as the projection lingers."""
        await self._linger()
        return reader.arrived()

    async def _linger(self) -> None:
        self._hurry.clear()
        if self.position < self._wanted:
            return
        with suppress(TimeoutError):  # nobody waits
            async with asyncio.timeout(self._linger_s):
                await self._hurry.wait()

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        """Apply what can be applied, up to the first gap or poison, which is then raised."""
        events: list[Recorded] = []
        position = self.position
        trouble: GapError | PoisonError | None = None
        for delivery in deliveries:
            try:
                follows(delivery, position)
                event = decode(delivery, self._codec)
            except (GapError, PoisonError) as problem:
                trouble = problem
                break
            position = delivery.sequence
            if event is not None:
                events.append(event)
        if position > self.position:
            target = position + (deliveries[-1].pending if trouble is None else 1)
            await self._apply(events, position, target)
        if trouble is not None:
            raise trouble

    async def _apply(self, events: Sequence[Recorded], position: int, target: int) -> None:
        try:
            await self._commit(events, position)
        except (NotYet, RetiredError, ReaderLostError):
            raise
        except Exception as problem:
            if is_outage(problem):
                raise
            if len(events) == 1 and events[0].position == position:
                event = events[0]
                raise PoisonError(event.position, event.type, problem) from problem
            for event in events:  # one of them is the poison: what comes before it counts
                await self._apply((event,), event.position, target)
            await self._apply((), position, target)
        else:
            await self._arrive(position, target, events)

    async def _commit(self, events: Sequence[Recorded], position: int) -> None:
        """Write rows and checkpoint together; what another process has written is not repeated."""
        async with self._serial, transaction(self._pool) as tx:
            todo = events
            if not await self._generations.advance(
                tx, self.number, self.source, self.position, position
            ):
                todo = await self._join(tx, events, position)
            if todo:
                await self.projection.apply(tx, self._tables, self.source, todo)

    async def _join(
        self, tx: asyncpg.Connection, events: Sequence[Recorded], position: int
    ) -> Sequence[Recorded]:
        """Return the events that no other process has applied, having moved the checkpoint."""
        at = await self._generations.locked_position(tx, self.number, self.source)
        if at is None:
            raise RetiredError
        if at < self.position:
            text = f"the checkpoint went back from {self.position} to {at}: Postgres was restored"
            self.position = at
            raise ReaderLostError(text)
        if at < position:
            await self._generations.advance(tx, self.number, self.source, at, position)
        return [event for event in events if event.position > at]

    async def _opened(self, last_sequence: int) -> None:
        self.waiting = ""
        self.before = self.position
        self.target = last_sequence
        if last_sequence <= self.position:
            self._clear()
        await self._advanced(self, ())

    async def _arrive(self, position: int, target: int, events: Sequence[Recorded]) -> None:
        if self.shown:
            _applied.labels(*self._labels).inc(position - self.position)
            _lag.labels(*self._labels).set(target - position)
        self.before = self.position
        self.position = position
        self.target = target
        self._clear()
        await self._advanced(self, events)

    def _clear(self) -> None:
        if self.stalled:
            log.info("projection_goes_on", **self._names())
            _stalled.labels(*self._labels).set(0)
        self.stalled = ""

    def _wait(self, why: str) -> None:
        if self.waiting != why:
            log.warning("projection_waits", why=why, **self._names())
        self.waiting = why

    async def _stall(self, why: str) -> None:
        """Stand still until somebody resumes, or for a while: the stream may have been mended."""
        if self.stalled != why:
            log.critical("projection_stalled", why=why, at=self.position, **self._names())
            self._patience_s = STALLED_MIN_S
        self.stalled = why
        _stalled.labels(*self._labels).set(1)
        await self._advanced(self, ())
        self._resume.clear()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._resume.wait()
        except TimeoutError:
            self._patience_s = min(self._patience_s * 2, STALLED_MAX_S)

    def _names(self) -> dict[str, object]:
        return {
            "projection": self.projection.name,
            "generation": self.number,
            "source": self.source,
        }
