"""Runs projections: follows event streams and writes read models, each event exactly once.

    runner = ProjectionRunner(runtime.pool, runtime.nats, [Users(), Sessions()])
    await runner.prepare()                       # tables and views exist from here on
    index.load(...)                              # an index in memory starts from the tables,
    runner.on_commit(index.follow)               # then hears of every commit
    runtime.background("projections", runner.run())
    runtime.health.add("projections", runner.check)

The position of a projection is in its own database, written with its rows: a crash at any point
repeats nothing and loses nothing, and two processes that run the same projection take turns.
A reader that has seen position n of a service is served by `wait_for(service, n, ...)`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast

import asyncpg
from nats.aio.client import Client

from shared.contracts.base import ServiceName
from shared.eventlog.codec import EventCodec
from shared.eventlog.codecs import codec_for
from shared.eventlog.records import Recorded
from shared.kernel.cancelling import cancel
from shared.observability.health import Check
from shared.projections.lane import Lane
from shared.projections.projection import Commit, Projection
from shared.projections.track import Track

STOP_S: Final = 15.0


class Progress(NamedTuple):
    """How far one projection is with one source; `stalled` says why it stands still, if it does."""

    projection: str
    generation: int
    source: str
    position: int
    lag: int | None
    stalled: str


class ProjectionRunner:
    """The projections of one process. Names must be unique; `codecs` stand in for the usual."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        nats: Client,
        projections: Sequence[Projection],
        *,
        codecs: Mapping[str, EventCodec] | None = None,
    ) -> None:
        sources = {source for projection in projections for source in projection.sources}
        known = {
            source: (codecs or {}).get(source) or codec_for(cast("ServiceName", source))
            for source in sources
        }
        self._tracks = {
            projection.name: Track(projection, known, pool, nats, self._committed, self._flipped)
            for projection in projections
        }
        if len(self._tracks) != len(projections):
            raise ValueError("two projections have the same name")
        self._commit_listeners: list[Callable[[Commit], None]] = []
        self._flip_listeners: list[Callable[[str], None]] = []
        self._moved = asyncio.Condition()
        self._prepared = False

    async def prepare(self) -> None:
        """Make the tables that are missing and read the positions; raises when Postgres fails."""
        for track in self._tracks.values():
            await track.load()
        self._prepared = True

    async def run(self) -> None:
        """Follow all sources until cancelled. What is wrong with one projection is in `check`."""
        if not self._prepared:
            await self.prepare()
        tasks = [asyncio.create_task(track.run()) for track in self._tracks.values()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await cancel(tasks, STOP_S)
        for task in done:
            await task

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Call `listener` after each commit of a live generation; it must not raise.

        It is not called for projections in the background.
        """
        self._commit_listeners.append(listener)

    def on_flip(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with a projection's name when another generation of it is shown."""
        self._flip_listeners.append(listener)

    def position(self, source: str) -> int:
        """Return the position of `source` that every projection in front of it shows."""
        return min((track.shown(source) for track in self._of(source)), default=0)

    async def wait_for(
        self,
        source: str,
        position: int,
        timeout_s: float,
        *,
        projections: Sequence[str] | None = None,
    ) -> bool:
        """Wait until the projections in front of `source` (or only those named) show `position`.

        Returns False when they don't in time, and at once when one of them stands still.
        """
        tracks = self._of(source, projections)

        def shown() -> bool:
            return bool(tracks) and all(track.shown(source) >= position for track in tracks)

        def over() -> bool:
            return shown() or any(track.stands(source) for track in tracks)

        if not shown():
            for track in tracks:
                track.hurry(source, position)
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(over)
        except TimeoutError:
            return False
        return shown()

    async def current(self, timeout_s: float) -> bool:
        """Wait until every projection shows a generation that this release has made."""
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(
                    lambda: all(track.is_current for track in self._tracks.values())
                )
        except TimeoutError:
            return False
        return True

    async def rebuild(self, projection: str) -> int:
        """Fill a new generation beside the live one; it is shown once it has caught up.

        Returns the new generation's number. Raises KeyError for an unknown projection.
        """
        return await self._tracks[projection].rebuild()

    def resume(self, projection: str) -> None:
        """Try an event again that a projection stands still at, without waiting any longer."""
        self._tracks[projection].resume()

    def progress(self) -> list[Progress]:
        """Return how far each projection is."""
        return [
            Progress(name, lane.number, lane.source, lane.position, lane.lag, lane.stalled)
            for name, track in self._tracks.items()
            for lane in track.lanes.values()
        ]

    def check(self) -> Check:
        """Return the health of the worst projection; one in the background fails nobody."""
        worst = Check(state="ok", lag=0)
        for name, track in self._tracks.items():
            found = track.check()
            state = "degraded" if track.lingers and found.state == "failed" else found.state
            if _RANK[state] > _RANK[worst.state]:
                worst = Check(state=state, detail=f"{name} {found.detail}", lag=found.lag)
        return worst

    def _of(self, source: str, projections: Sequence[str] | None = None) -> list[Track]:
        return [
            track
            for name, track in self._tracks.items()
            if source in track.projection.sources
            and (name in projections if projections is not None else not track.lingers)
        ]

    async def _committed(self, track: Track, lane: Lane, events: Sequence[Recorded]) -> None:
        if not track.lingers:
            for other in self._tracks.values():
                tap = other.taps.get(lane.source)
                if tap is not None:
                    tap.offer(lane.before, lane.position, events)
        if events and not track.lingers:
            commit = Commit(track.projection.name, lane.source, lane.position, events)
            for listener in self._commit_listeners:
                listener(commit)
        async with self._moved:
            self._moved.notify_all()

    async def _flipped(self, track: Track) -> None:
        for listener in self._flip_listeners:
            listener(track.projection.name)
        async with self._moved:
            self._moved.notify_all()


_RANK: Final = {"ok": 0, "degraded": 1, "failed": 2}
