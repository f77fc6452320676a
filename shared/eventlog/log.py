"""The event log of one service: append, load, read. Raw asyncpg: this is the hot path."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from shared.contracts.base import Meta
from shared.eventlog.appending import (
    Batch,
    CommandResult,
    claim_columns,
    command_columns,
)
from shared.eventlog.codec import EventCodec
from shared.eventlog.outcomes import IdempotencyMismatch
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import (
    Appended,
    Claim,
    CommandKey,
    DoneCommand,
    Recorded,
    StoredEvent,
    Stream,
    Write,
)
from shared.eventlog.verify import ChainReport, verify_chain
from shared.eventlog.writing import Pending, Within, Writer
from shared.kernel.clock import Clock, SystemClock
from shared.messaging.envelope import decode_meta

FOLD_BATCH: Final = 1000
_COLUMNS: Final = (
    "position, stream, version, type, schema_version, data, meta, event_id, recorded_at, hash"
)
_READ: Final = f"select {_COLUMNS} from events where position > $1 order by position limit $2"  # noqa: S608  # constants only
_LOAD: Final = (
    "select version, type, schema_version, data from events"
    " where stream = $1 and version > $2 order by version"
)
_FIND_COMMAND: Final = (
    "select digest, position, result from commands_done where idempotency_key = $1"
)
# The head is locked, so appends under the old epoch are either before this or refused; and the
# number comes from the locked row itself, because a statement sees other tables as they were
# before it waited.
_TAKE_EPOCH: Final = """
    with head as (update log_head set epochs_given = epochs_given + 1 returning epochs_given)
    insert into epochs (name, epoch) select $1, epochs_given from head
        on conflict (name) do update set epoch = excluded.epoch
        returning epoch
"""


class EventLog:
    """The log of the service whose schema `pool` connects to.

    All methods raise LogUnavailable when Postgres cannot be asked.
    """

    def __init__(self, pool: asyncpg.Pool, codec: EventCodec, clock: Clock | None = None) -> None:
        self.pool = pool
        self.codec = codec
        self._clock = clock or SystemClock()
        self._writer = Writer(pool)

    @property
    def service(self) -> str:
        """The service that owns this log."""
        return self.codec.service

    def on_append(self, listener: Callable[[Appended], None]) -> Callable[[], None]:
        """Call `listener` after each commit that wrote events; returns how to stop that."""
        return self._writer.on_append(listener)

    async def append(
        self,
        writes: Sequence[Write],
        meta: Meta,
        *,
        claims: Sequence[Claim] = (),
        releases: Sequence[Claim] = (),
        command: CommandKey | None = None,
        result: dict[str, Any] | None = None,
        commands: Sequence[CommandResult] = (),
        epoch: int | None = None,
        within: Within | None = None,
    ) -> Appended:
        """Write everything or nothing, in one round trip; `append_v1.sql` says in which order.

        `releases` of names that their owner does not hold are ignored; a claim by its present
        owner is granted again. `command` with `result`, or several `commands` of a batch, are
        remembered with the events. `epoch` is what `take_epoch` gave. `within` writes to the
        service's other tables first, in the same transaction (three more round trips).

        Raises StreamConflict, ClaimTaken, CommandRepeated, IdempotencyMismatch or StaleEpoch, and
        then nothing has changed; ValueError for an event in another aggregate's stream or too
        large. Cancelling the caller drops an append that still waits for its turn, and does not
        stop one under way.
        """
        batch = Batch(self.codec, writes, meta)
        done = list(commands)
        if command is not None:
            done.append(CommandResult(command, result or {}))
        arguments = (
            *batch.arguments(),
            self._clock.now(),
            epoch,
            *claim_columns(releases),
            *claim_columns(claims),
            *command_columns(done),
        )
        return await self._writer.append(Pending(batch, arguments, within))

    async def load(self, stream: str, after: int = 0) -> Stream:
        """Return the events of a stream after a version, upcast; an unknown stream is empty."""
        with reaching_postgres():
            rows = await self.pool.fetch(_LOAD, stream, after)
        decode = self.codec.decode
        events = tuple(decode(row[1], row[2], row[3]) for row in rows)
        return Stream(name=stream, version=rows[-1][0] if rows else after, events=events)

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """Return up to `limit` events that follow position `after`, as they are stored."""
        with reaching_postgres():
            rows = await self.pool.fetch(_READ, after, limit)
        return [stored_event(row) for row in rows]

    async def fold_all(self, after: int = 0) -> AsyncIterator[Recorded]:
        """Yield every event after a position, decoded, up to the head at the time it is reached."""
        while stored := await self.read(after, FOLD_BATCH):
            for event in stored:
                yield self.decode(event)
            after = stored[-1].position

    def decode(self, stored: StoredEvent) -> Recorded:
        """Return a stored event decoded and upcast."""
        return Recorded(
            position=stored.position,
            stream=stored.stream,
            version=stored.version,
            type=stored.type,
            schema_version=stored.schema_version,
            event=self.codec.decode(stored.type, stored.schema_version, stored.data),
            meta=decode_meta(stored.meta_json.decode()),
            event_id=stored.event_id,
            recorded_at=stored.recorded_at,
        )

    async def head(self) -> int:
        """Return the position of the newest event; 0 when there is none."""
        with reaching_postgres():
            position: int = await self.pool.fetchval("select position from log_head")
        return position

    async def find_command(self, key: CommandKey) -> DoneCommand | None:
        """Return the first answer to a command, None when it has not been accepted.

        Raises IdempotencyMismatch when the key was used for another request.
        """
        with reaching_postgres():
            row = await self.pool.fetchrow(_FIND_COMMAND, key.key)
        if row is None:
            return None
        if row["digest"] != key.digest:
            raise IdempotencyMismatch(key.key)
        return DoneCommand(key.key, row["position"], msgspec.json.decode(row["result"]))

    async def owner_of(self, kind: str, value: str) -> str | None:
        """Return who holds a name, None when it is free."""
        with reaching_postgres():
            owner: str | None = await self.pool.fetchval(
                "select owner from claims where kind = $1 and value = $2", kind, value
            )
        return owner

    async def verify(self) -> ChainReport:
        """Walk the hash chain from the first event to the present head."""
        return await verify_chain(self)

    async def take_epoch(self, name: str) -> int:
        """Start a new epoch of `name`; appends under the ones before it are refused from now on."""
        with reaching_postgres():
            epoch: int = await self.pool.fetchval(_TAKE_EPOCH, name)
        return epoch


def stored_event(row: asyncpg.Record) -> StoredEvent:
    """Return a row of `events` with the columns of `read`."""
    return StoredEvent(
        position=row[0],
        stream=row[1],
        version=row[2],
        type=row[3],
        schema_version=row[4],
        data=row[5].encode(),
        meta_json=row[6].encode(),
        event_id=str(row[7]),
        recorded_at=row[8],
        hash=row[9],
    )
