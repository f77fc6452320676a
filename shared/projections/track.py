"""One projection in this process: the generation that is shown, and the one that replaces it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import asyncpg
from nats.aio.client import Client

from shared.eventlog.codec import EventCodec
from shared.eventlog.records import Recorded
from shared.kernel.cancelling import cancel
from shared.observability.health import Check
from shared.observability.logging import get_logger
from shared.projections.generations import Generation, Generations
from shared.projections.lane import Lane, RetiredError, is_outage
from shared.projections.projection import Projection, linger_of
from shared.projections.tap import Tap

log = get_logger(__name__)

UNHEALTHY_LAG: Final = 1_000
RETRY_S: Final = 0.5
STOP_S: Final = 10.0


class Track:
    """Runs the lanes of one projection's generations and changes over when the next is ready.

    `committed` is awaited with what the live generation shows newly, `flipped` after a change.
    """

    def __init__(
        self,
        projection: Projection,
        codecs: Mapping[str, EventCodec],
        pool: asyncpg.Pool,
        nats: Client,
        committed: Callable[["Track", Lane, Sequence[Recorded]], Awaitable[None]],
        flipped: Callable[["Track"], Awaitable[None]],
    ) -> None:
        self.projection = projection
        self.live: Generation | None = None
        self.lanes: dict[str, Lane] = {}
        self._next: dict[str, Lane] = {}
        self._frozen: dict[str, int] = {}
        self._generations = Generations(projection)
        self._codecs = codecs
        self._pool = pool
        self._nats = nats
        self._committed = committed
        self._flipped = flipped
        self._reload = asyncio.Event()
        self.lingers = linger_of(projection) > 0
        self.taps = {source: Tap() for source in projection.sources} if self.lingers else {}

    @property
    def is_current(self) -> bool:
        """Whether what is shown was made by this release's version of the projection."""
        return self.live is not None and self.live.version == self.projection.version

    async def load(self) -> None:
        """Read from the database which generations there are, and make the lanes they need."""
        found = await self._generations.prepare(self._pool)
        live = next(each for each in found if each.state == "live")
        version = self.projection.version
        building = [e for e in found if e.state == "building" and e.version == version]
        changed = self.live is not None and self.live.number != live.number
        known = {} if changed else {name: lane.position for name, lane in self.lanes.items()}
        self.live = live
        self._frozen = await self._generations.positions(self._pool, live.number)
        self.lanes = self._make(live, {**self._frozen, **known}) if self.is_current else {}
        self._next = {}
        if building:
            positions = await self._generations.positions(self._pool, building[-1].number)
            self._next = self._make(building[-1], positions)
        if changed:
            log.info("projection_flipped", projection=self.projection.name, generation=live.number)
            await self._flipped(self)

    async def run(self) -> None:
        """Run until cancelled; what is wrong with a source or the database is waited out."""
        while True:
            lanes = (*self.lanes.values(), *self._next.values())
            tasks = [asyncio.create_task(lane.run()) for lane in lanes]
            tasks.append(asyncio.create_task(self._until_reload()))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel(tasks, STOP_S)
            for task in done:
                problem = task.exception()
                if problem is not None and not isinstance(problem, RetiredError):
                    raise problem
            log.info("projection_reloads", projection=self.projection.name)
            self._reload.clear()
            await self._load_when_up()

    async def rebuild(self) -> int:
        """Start filling the next generation beside the live one; returns its number."""
        generation = await self._generations.rebuild(self._pool)
        self._reload.set()
        return generation.number

    def resume(self) -> None:
        """Try again at once what has stalled."""
        for lane in (*self.lanes.values(), *self._next.values()):
            lane.resume()

    def hurry(self, source: str, position: int) -> None:
        """Gather no longer until a position that somebody waits for."""
        if source in self.lanes:
            self.lanes[source].hurry(position)

    def check(self) -> Check:
        """Return the health of what is shown."""
        if not self.is_current:
            return Check(
                state="failed", detail="is being rebuilt for a new version", lag=self._lag()
            )
        for lane in self.lanes.values():
            if lane.stalled:
                text = f"stands at {lane.source} {lane.position}: {lane.stalled}"
                return Check(state="degraded", detail=text, lag=lane.lag)
            if lane.lag is None:
                return Check(state="failed", detail=f"{lane.source}: {lane.waiting}")
        for lane in self._next.values():
            if lane.stalled:
                text = f"generation {lane.number} can't be built: {lane.stalled}"
                return Check(state="degraded", detail=text, lag=self._lag())
        waiting = "; ".join(
            f"{lane.source}: {lane.waiting}" for lane in self.lanes.values() if lane.waiting
        )
        lag = self._lag() or 0
        if lag > UNHEALTHY_LAG:
            return Check(state="failed", detail=waiting or "is catching up", lag=lag)
        return Check(state="degraded" if waiting else "ok", detail=waiting, lag=lag)

    def _lag(self) -> int | None:
        lags = [lane.lag for lane in (self.lanes or self._next).values()]
        return None if None in lags else sum(lag for lag in lags if lag is not None)

    def shown(self, source: str) -> int:
        """Return the position of a source that readers see."""
        lane = self.lanes.get(source)
        return self._frozen.get(source, 0) if lane is None else lane.position

    def stands(self, source: str) -> bool:
        """Tell whether a source has stopped at an event that can't be applied."""
        lane = self.lanes.get(source)
        return lane is not None and bool(lane.stalled)

    def _make(self, generation: Generation, positions: Mapping[str, int]) -> dict[str, Lane]:
        serial = asyncio.Lock()
        lanes = {
            source: Lane(
                self.projection,
                self._generations,
                generation.number,
                source,
                self._codecs[source],
                pool=self._pool,
                nats=self._nats,
                position=positions[source],
                shown=generation.state == "live",
                serial=serial,
                advanced=self._lane_advanced,
            )
            for source in self.projection.sources
        }
        if generation.state == "live":
            for source, tap in self.taps.items():
                lanes[source].tap = tap
        return lanes

    async def _lane_advanced(self, lane: Lane, events: Sequence[Recorded]) -> None:
        if lane.shown:
            await self._committed(self, lane, events)
            return
        if any(each.lag != 0 or each.stalled for each in self._next.values()):
            return
        if await self._generations.flip(self._pool, lane.number):
            self._reload.set()

    async def _until_reload(self) -> None:
        await self._reload.wait()

    async def _load_when_up(self) -> None:
        while True:
            try:
                await self.load()
            except Exception as problem:
                if not is_outage(problem):
                    raise
                log.warning("projection_cannot_reload", problem=repr(problem)[:200])
            else:
                return
            await asyncio.sleep(RETRY_S)
