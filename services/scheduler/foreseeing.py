"""When the sessions that wait will probably start: looked at again and again as things change.

Of each group the first in its queue are foreseen, and those that named a time to start at. What
is told is as of some seconds ago; what could not be foreseen again in time is told no more.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from services.scheduler.books import Books
from services.scheduler.forecast.estimate import Wait
from services.scheduler.forecast.snapshot import take
from services.scheduler.forecaster import Forecaster
from services.scheduler.forecasting import Question
from services.scheduler.foresight import AGENTS_MAX, FORESEEN_MAX, RUNNING_MAX, estimated
from services.scheduler.waiting_room import Held
from services.scheduler.writer import Writer
from shared.contracts.scheduler import EstimatedStart
from shared.kernel.clock import Clock

REST_S: Final = 5.0
REST_RATIO: Final = 4.0  # at most a fifth of a processor is spent on this
AGAIN_S: Final = 30.0
STALE_S: Final = 90.0
NOTHING: Final[Mapping[str, EstimatedStart]] = {}


class _Foreseen(NamedTuple):
    at: datetime
    starts: dict[str, EstimatedStart]


class _Asked(NamedTuple):
    question: Question
    now: datetime
    begins: dict[str, datetime]  # of those who are to queue up later


class Foreseer:
    """Keeps what is foreseen of each group."""

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        *,
        rest_s: float = REST_S,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._rest_s = rest_s
        self._forecaster = Forecaster()
        self._foreseen: dict[str, _Foreseen] = {}
        self._wake = asyncio.Event()

    def changed(self) -> None:
        """Note that something has changed by which sessions start."""
        self._wake.set()

    def of(self, group: str) -> Mapping[str, EstimatedStart]:
        """Return when sessions of a group will start, as far as that is known and still true."""
        foreseen = self._foreseen.get(group)
        if foreseen is None or (self._clock.now() - foreseen.at).total_seconds() > STALE_S:
            return NOTHING
        return foreseen.starts

    async def run(self, told: Callable[[], None]) -> None:
        """Work until cancelled; `told` is called when something else is foreseen than before."""
        try:
            while True:
                await self._news()
                began = self._clock.monotonic()
                for group in tuple(self._writer.books.queues.keys() | self._foreseen.keys()):
                    if await self.look(group):
                        told()
                spent_s = self._clock.monotonic() - began
                # the rate limit, not a poll: what changes meanwhile is looked at then
                await asyncio.sleep(max(self._rest_s, REST_RATIO * spent_s))
        finally:
            await self._forecaster.close()

    async def _news(self) -> None:
        """Wait for a change; time alone is one while sessions are foreseen."""
        try:
            async with asyncio.timeout(AGAIN_S if self._foreseen else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def look(self, group: str) -> bool:
        """Foresee one group anew; tell whether there is anything new to be told."""
        asked = await self._writer.read(lambda books: self._ask(group, books))
        waits = None if asked is None else await self._forecaster.ask(asked.question)
        before = self._foreseen.pop(group, None)
        if asked is not None and waits:
            self._foreseen[group] = _Foreseen(asked.now, _starts(asked, waits))
        return before is not None or bool(waits)

    def _ask(self, group: str, books: Books) -> _Asked | None:
        """Return what to ask; None when nothing waits, or nothing can be known of it."""
        queue = books.queues.get(group)
        if queue is None or not queue.planner.options.is_active:
            return None
        planner, past = queue.planner, books.past.of(group)
        begins = _begins(books, group)
        if not (begins or len(planner.queue)) or not past.run_times.is_known:
            return None
        if len(planner.index.rows) > AGENTS_MAX:
            return None
        now = self._clock.now()
        running = books.past.running(
            group, books.sessions, books.cluster.holdings, now, RUNNING_MAX
        )
        if running is None:
            return None
        later = [held.waiting for held, _ in begins]
        snapshot = take(planner, later, running, FORESEEN_MAX)
        coming = tuple((max((at - now).total_seconds(), 0.0), held.waiting) for held, at in begins)
        wanted = [one.session.session_id for one in snapshot.waiting]
        wanted.extend(one.session_id for one in later)
        question = Question(snapshot, past.copied(snapshot, later), tuple(wanted), coming)
        return _Asked(question, now, {held.waiting.session_id: at for held, at in begins})


def _begins(books: Books, group: str) -> list[tuple[Held, datetime]]:
    """Return the first of those for whom nothing but a time must come, with that time."""
    held = ((one, one.begins_at) for one in books.waiting_room.of(group))
    return list(islice(((one, at) for one, at in held if at is not None), FORESEEN_MAX))


def _starts(asked: _Asked, waits: Mapping[str, Wait]) -> dict[str, EstimatedStart]:
    return {
        session_id: estimated(asked.now, wait, asked.begins.get(session_id))
        for session_id, wait in waits.items()
    }
