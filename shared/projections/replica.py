"""A replica: other services' events folded into memory, from the start, at every start.

    replica = Replica(runtime.nats, ("policies",), {"policies": codec_for("policies")}, apply)
    runtime.background("policies-replica", replica.run())
    await replica.caught_up(timeout_s=30)

`apply(source, event)` is called in order for each source and must not raise: an event that cannot
be decoded or applied ends `run` with an error, so the process starts anew, or stops visibly.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nats.aio.client import Client

from shared.contracts.subjects import event_stream
from shared.eventlog.codec import EventCodec
from shared.eventlog.records import Recorded
from shared.kernel.cancelling import cancel
from shared.messaging.reader import ReaderLostError, StreamReader
from shared.observability.health import Check
from shared.observability.logging import get_logger
from shared.observability.metrics import gauge
from shared.projections.decoding import GapError, decode, follows

log = get_logger(__name__)

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 2.0
UNHEALTHY_LAG: Final = 1_000
STOP_S: Final = 10.0

_lag = gauge("replica_lag_events", "Events of a source not folded yet.", ("source",))

Apply = Callable[[str, Recorded], None]


class _Source:
    """How far one source is."""

    def __init__(self) -> None:
        self.position = 0
        self.target: int | None = None
        self.problem = "has not been read yet"

    @property
    def lag(self) -> int | None:
        """How many events are known to be missing; None when nothing is known."""
        return None if self.target is None else max(self.target - self.position, 0)


class Replica:
    """Folds the event streams of `sources`; positions never go back while the process lives."""

    def __init__(
        self,
        nats: Client,
        sources: Sequence[str],
        codecs: Mapping[str, EventCodec],
        apply: Apply,
    ) -> None:
        self._nats = nats
        self._codecs = codecs
        self._apply = apply
        self._sources = {source: _Source() for source in sources}
        self._moved = asyncio.Condition()

    def position(self, source: str) -> int:
        """Return the position of the last event of `source` that is folded in."""
        return self._sources[source].position

    def check(self) -> Check:
        """Return the health: failed until everything that was there at the start is folded."""
        for name, source in self._sources.items():
            if source.lag is None:
                return Check(state="failed", detail=f"{name}: {source.problem}")
            if source.problem:
                return Check(state="degraded", detail=f"{name}: {source.problem}", lag=source.lag)
        lag = sum(source.lag or 0 for source in self._sources.values())
        return Check(state="ok" if lag <= UNHEALTHY_LAG else "failed", lag=lag)

    async def caught_up(self, timeout_s: float, sources: Sequence[str] = ()) -> bool:
        """Wait until sources (all) are where their streams ended when they were last opened."""
        wanted = [self._sources[name] for name in sources or self._sources]
        return await self._until(lambda: all(source.lag == 0 for source in wanted), timeout_s)

    async def wait_for(self, source: str, position: int, timeout_s: float) -> bool:
        """Wait until the event at `position` is folded in; False when it isn't in time."""
        found = self._sources[source]
        return await self._until(lambda: found.position >= position, timeout_s)

    async def reached(self, seen: Mapping[str, int], timeout_s: float) -> bool:
        """Wait until it is as far as somebody has seen of its sources; False when not in time."""
        due = {name: seen[name] for name in self._sources if name in seen}
        return await self._until(
            lambda: all(self._sources[name].position >= at for name, at in due.items()), timeout_s
        )

    async def run(self) -> None:
        """Follow all sources until cancelled; raises when an event can't be decoded or applied."""
        tasks = [asyncio.create_task(self._follow(source)) for source in self._sources]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await cancel(tasks, STOP_S)
        for task in done:
            await task

    async def _until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(done)
        except TimeoutError:
            return False
        return True

    async def _follow(self, name: str) -> None:
        source = self._sources[name]
        pause_s = BACKOFF_MIN_S
        while True:
            before = source.position
            try:
                await self._read(name, source)
            except (ReaderLostError, GapError) as problem:
                if source.problem != str(problem):
                    log.warning("replica_interrupted", source=name, problem=str(problem))
                source.problem = str(problem)
            pause_s = BACKOFF_MIN_S if source.position > before else min(pause_s * 2, BACKOFF_MAX_S)
            await asyncio.sleep(pause_s)

    async def _read(self, name: str, source: _Source) -> None:
        codec = self._codecs[name]
        async with StreamReader(self._nats, event_stream(name), source.position) as reader:
            source.problem = ""
            await self._advance(name, source, source.position, reader.last_sequence)
            while True:
                deliveries = await reader.next()
                for delivery in deliveries:
                    follows(delivery, source.position)
                    event = decode(delivery, codec)
                    if event is not None:
                        self._apply(name, event)
                    source.position = delivery.sequence
                last = deliveries[-1]
                await self._advance(name, source, last.sequence, last.sequence + last.pending)

    async def _advance(self, name: str, source: _Source, position: int, target: int) -> None:
        source.position = position
        source.target = target
        _lag.labels(name).set(max(target - position, 0))
        async with self._moved:
            self._moved.notify_all()
