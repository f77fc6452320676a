"""Feeds the events of services' streams to a process manager, from where it had got to.

The position is saved after the events have been taken, so after a crash some come again; taking
one twice is the manager's business and changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncpg
from nats.aio.client import Client

from shared.contracts.subjects import event_stream
from shared.eventlog.codec import EventCodec
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Recorded
from shared.kernel.cancellation import is_wanted
from shared.messaging.reader import ReaderLostError, StreamReader
from shared.observability.logging import get_logger
from shared.projections.decoding import GapError, decode, follows

log = get_logger(__name__)

GENERATION: Final = 1
PAUSE_MIN_S: Final = 0.1
PAUSE_MAX_S: Final = 2.0
_LOAD: Final = (
    "select position from checkpoints where projection = $1 and generation = $2 and source = $3"
)
_SAVE: Final = """
    insert into checkpoints (projection, generation, source, position) values ($1, $2, $3, $4)
        on conflict (projection, generation, source)
        do update set position = greatest(checkpoints.position, excluded.position)
"""


class EventFeed:
    """Reads the streams of `codecs`' services for `name`, whose positions are kept under it.

    `take` returns when what follows from an event is safe. `run` ends with the error of an event
    that cannot be decoded or taken: the service then stops, visibly.
    """

    def __init__(
        self,
        name: str,
        pool: asyncpg.Pool,
        nats: Client,
        codecs: Mapping[str, EventCodec],
        take: Callable[[Recorded], Awaitable[None]],
    ) -> None:
        self._name = name
        self._pool = pool
        self._nats = nats
        self._codecs = codecs
        self._take = take

    async def run(self) -> None:
        """Feed until cancelled."""
        async with asyncio.TaskGroup() as group:
            for source in self._codecs:
                group.create_task(self._follow(source))

    async def _follow(self, source: str) -> None:
        pause_s, reached = PAUSE_MIN_S, 0
        while is_wanted():
            try:
                with reaching_postgres():
                    position = await self._pool.fetchval(_LOAD, self._name, GENERATION, source) or 0
                if position > reached:
                    pause_s, reached = PAUSE_MIN_S, position
                await self._read(source, position)
            except (ReaderLostError, GapError, LogUnavailable) as problem:
                log.warning(
                    "feed_interrupted", feed=self._name, source=source, problem=str(problem)
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _read(self, source: str, position: int) -> None:
        codec = self._codecs[source]
        async with StreamReader(self._nats, event_stream(source), position) as reader:
            while is_wanted():
                for delivery in await reader.next():
                    follows(delivery, position)
                    event = decode(delivery, codec)
                    if event is not None:
                        await self._take(event)
                    position = delivery.sequence
                with reaching_postgres():
                    await self._pool.execute(_SAVE, self._name, GENERATION, source, position)
