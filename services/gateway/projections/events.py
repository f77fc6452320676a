"""The audit read model: every event of every service, as rows to page and filter by.

Personal texts stay sealed in it under the person's key, so that an erasure reaches them; what must
never be shown is left out before it is written. It is in the background (`linger_s`): whoever
reads it waits for it, no write does.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from services.gateway.projections.tables import storable
from shared.contracts.base import Event
from shared.contracts.catalog import SPEAKING
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    SessionEnqueued,
)
from shared.contracts.users import LoginStarted, UserMainKeypairSwitched
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables

# what of an event is never shown to anybody, and what stands in its place
HIDDEN: Final[dict[type[Event], dict[str, Any]]] = {
    LoginStarted: {"token_hash": ""},
    SessionEnqueued: {"environ": None},
    ResourceGroupCreated: {"wsproxy_api_token": None},
    ResourceGroupChanged: {"wsproxy_api_token": msgspec.UNSET},
}
_EVENTS: Final = """
    create table {} (
        service text,
        position bigint,
        version int not null,
        aggregate text not null,
        key text not null,
        type text not null,
        at timestamptz not null,
        actor_kind text not null,
        actor_id text not null,
        credential text,
        acted_as text,
        client_address text,
        request_id text,
        data text not null,
        primary key (service, position)
    )
"""
_INDEXES: Final = (
    "aggregate, key, position",
    "at, service, position",
    "type, at, service, position",
    "actor_id, at, service, position",
)
# events that are also about another object than the one whose stream they are in
_MENTIONS: Final = """
    create table {} (
        aggregate text,
        key text,
        service text,
        position bigint,
        primary key (aggregate, key, service, position)
    )
"""
_COUNTS: Final = (
    "create table {} (service text, type text, events bigint not null, primary key (service, type))"
)
_INSERT: Final = """
    insert into {} (service, position, version, aggregate, key, type, at, actor_kind, actor_id,
        credential, acted_as, client_address, request_id, data)
    select $1, * from unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[],
        $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
        $13::text[], $14::text[])
"""
_MENTION: Final = """
    insert into {} (aggregate, key, service, position)
    select aggregate, key, $1, position
      from unnest($2::text[], $3::text[], $4::bigint[]) as new(aggregate, key, position)
    on conflict do nothing
"""
_COUNT: Final = """
    insert into {0} as known (service, type, events)
    select $1, * from unnest($2::text[], $3::bigint[])
    on conflict (service, type) do update set events = known.events + excluded.events
"""


class EventsProjection:
    """Keeps all events; `linger_s` is how long it gathers them when nobody waits."""

    name = "events"
    version = 1
    sources = tuple(vocabulary.service for vocabulary in SPEAKING)
    tables = ("audit_events", "audit_mentions", "audit_counts")
    linger_s = 0.2

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        events = tables("audit_events")
        await tx.execute(_EVENTS.format(events))
        for columns in _INDEXES:
            await tx.execute(f"create index on {events} ({columns})")
        await tx.execute(_MENTIONS.format(tables("audit_mentions")))
        await tx.execute(_COUNTS.format(tables("audit_counts")))

    async def apply(
        self, tx: asyncpg.Connection, tables: Tables, source: str, events: Sequence[Recorded]
    ) -> None:
        """Write down events of one service, in order."""
        rows = [_row(recorded) for recorded in events]
        columns = [list(column) for column in zip(*rows, strict=True)]
        await tx.execute(_INSERT.format(tables("audit_events")), source, *columns)
        mentions = [mention for recorded in events for mention in _mentions(recorded)]
        if mentions:
            columns = [list(column) for column in zip(*mentions, strict=True)]
            await tx.execute(_MENTION.format(tables("audit_mentions")), source, *columns)
        counts = Counter(recorded.type for recorded in events)
        await tx.execute(
            _COUNT.format(tables("audit_counts")), source, list(counts), list(counts.values())
        )


def _row(recorded: Recorded) -> tuple[Any, ...]:
    event, meta = recorded.event, recorded.meta
    hidden = HIDDEN.get(type(event))
    shown = event if hidden is None else msgspec.structs.replace(event, **hidden)
    return (
        recorded.position,
        recorded.version,
        event.AGGREGATE,
        storable(event.key()),
        recorded.type,
        recorded.recorded_at,
        meta.actor.kind,
        storable(meta.actor.id),
        meta.actor.credential,
        meta.acted_as,
        meta.client_address,
        meta.request_id,
        msgspec.json.encode(shown).decode(),
    )


def _mentions(recorded: Recorded) -> Iterator[tuple[str, str, int]]:
    """Return whose timelines an event belongs to besides its own object's."""
    event, position = recorded.event, recorded.position
    if event.AGGREGATE in {"keypair", "login", "project"}:
        user_id = getattr(event, "user_id", None)
        if user_id is not None:
            yield "user", user_id, position
    elif isinstance(event, UserMainKeypairSwitched):
        for access_key in filter(None, (event.access_key, event.previous)):
            yield "keypair", access_key, position
