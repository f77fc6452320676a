"""Prove that nothing in the log was altered, lost or added, and that the stream is its equal.

Two implementations meet here: Postgres chained the events when they were appended, this one
recomputes every link from the stored bytes.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from shared.contracts.subjects import event_stream
from shared.eventlog.chain import GENESIS, link
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import StoredEvent
from shared.messaging.cloudevents import read_event

if TYPE_CHECKING:
    from shared.eventlog.log import EventLog

BATCH: Final = 1000
FETCH_TIMEOUT_S: Final = 5.0
CONSUMER_IDLE_S: Final = 30.0


class Damage(msgspec.Struct, frozen=True):
    """The first thing found wrong: at which position, and what."""

    position: int
    what: str


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What walking the chain in Postgres found; `head_hash` (hex) stands for all of the log.

    `events` is how many links were proved before the end or the damage.
    """

    service: str
    events: int
    head: int
    head_hash: str
    damage: Damage | None = None

    @property
    def is_intact(self) -> bool:
        """Tell whether the log is what was appended."""
        return self.damage is None


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """What comparing the stream with the log found.

    `behind` counts events at the log's end that the stream does not hold yet: lag, not damage.
    """

    service: str
    events: int
    behind: int
    damage: Damage | None = None

    @property
    def is_intact(self) -> bool:
        """Tell whether everything in the stream is what the log holds at that position."""
        return self.damage is None


async def verify_chain(log: "EventLog") -> ChainReport:
    """Walk the whole log up to its present head. Raises LogUnavailable."""
    with reaching_postgres():
        head = await log.pool.fetchrow("select position, hash from log_head")
    if head is None:
        gone = Damage(0, "the log has no head")
        return ChainReport(service=log.service, events=0, head=0, head_hash="", damage=gone)
    damage: Damage | None = None
    proved, previous = 0, GENESIS
    async with aclosing(stored_events(log, head["position"])) as events:
        async for event in events:
            damage = _wrong(proved + 1, previous, event)
            if damage is not None:
                break
            proved, previous = event.position, event.hash
    return ChainReport(
        service=log.service,
        events=proved,
        head=head["position"],
        head_hash=head["hash"].hex(),
        damage=damage or _wrong_head(head, proved, previous),
    )


def _wrong(expected: int, previous: bytes, event: StoredEvent) -> Damage | None:
    if event.position != expected:
        return Damage(expected, f"the event is missing; the next one is {event.position}")
    if link(previous, event) != event.hash:
        return Damage(expected, "the event or its predecessor is not what was appended")
    return None


def _wrong_head(head: asyncpg.Record, proved: int, last_hash: bytes) -> Damage | None:
    if proved != head["position"]:
        return Damage(proved + 1, f"the events up to {head['position']} are missing")
    if last_hash != head["hash"]:
        return Damage(proved, "the last event is not the one that was appended last")
    return None


async def stored_events(log: "EventLog", last: int) -> AsyncGenerator[StoredEvent, None]:
    """Yield the stored events up to a position, oldest first."""
    after = 0
    while after < last and (batch := await log.read(after, min(BATCH, last - after))):
        for event in batch:
            yield event
        after = batch[-1].position


async def verify_stream(log: "EventLog", js: JetStreamContext) -> StreamReport:
    """Compare the stream with the log, event by event, and prove the stream's own chain.

    Raises LogUnavailable, and nats-py's errors when JetStream cannot be asked.
    """
    name = event_stream(log.service)
    try:
        last = (await js.stream_info(name)).state.last_seq
    except NotFoundError:
        last = 0
    head = await log.head()
    if last > head:
        ahead = Damage(head + 1, f"the stream goes on to {last}, where the log has ended")
        return StreamReport(service=log.service, events=0, behind=0, damage=ahead)
    damage: Damage | None = None
    compared, previous = 0, GENESIS
    async with (
        aclosing(stored_events(log, last)) as stored,
        aclosing(_published(js, name, last)) as published,
    ):
        async for original in stored:
            copy = await anext(published, None)
            damage = _different(compared + 1, previous, original, copy)
            if damage is not None:
                break
            compared, previous = original.position, original.hash
    return StreamReport(service=log.service, events=compared, behind=head - last, damage=damage)


def _different(
    position: int, previous: bytes, original: StoredEvent, copy: StoredEvent | None
) -> Damage | None:
    if copy is None or copy.position != position:
        return Damage(position, "the stream does not hold the event")
    if copy != original:
        return Damage(position, "the stream holds another event than the log")
    if link(previous, copy) != copy.hash:
        return Damage(position, "log and stream agree, but not on what was appended")
    return None


async def _published(
    js: JetStreamContext, name: str, last: int
) -> AsyncGenerator[StoredEvent, None]:
    """Yield what the stream holds up to a sequence; its order is the server's."""
    if last == 0:
        return
    subscription = await js.pull_subscribe(
        "",
        stream=name,
        config=ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            inactive_threshold=CONSUMER_IDLE_S,
            mem_storage=True,
        ),
    )
    try:
        sequence = 0
        while sequence < last:
            batch = min(BATCH, last - sequence)
            try:
                messages = await subscription.fetch(batch, timeout=FETCH_TIMEOUT_S)
            except TimeoutError:
                return
            for message in messages:
                sequence = message.metadata.sequence.stream
                yield read_event(message.headers or {}, message.data)
    finally:
        await subscription.unsubscribe()
