"""The arguments and the answer of `log_append`, the one statement that writes to the log."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from shared.contracts.base import Event, Meta
from shared.eventlog.codec import EventCodec, type_of
from shared.eventlog.outcomes import (
    ClaimTaken,
    CommandRepeated,
    IdempotencyMismatch,
    StaleEpoch,
    StreamConflict,
)
from shared.eventlog.records import Appended, Claim, CommandKey, DoneCommand, Recorded, Write
from shared.kernel.ids import new_id
from shared.messaging.envelope import encode_meta

# What cannot be published must not be accepted: the relay would never get past it. NATS takes a
# message of 1 MiB, headers included, and a subject of 4 KiB, in which a byte may become three.
EVENT_BYTES_MAX: Final = 512 * 1024
META_BYTES_MAX: Final = 64 * 1024
STREAM_BYTES_MAX: Final = 1100  # a name of 255 characters, in any script, behind its aggregate
_PARAMETERS: Final = ", ".join(f"${number}" for number in range(1, 21))
APPEND: Final = f"select * from log_append({_PARAMETERS})"  # noqa: S608  # constants only


class CommandResult(NamedTuple):
    """A command that an append answers for good, with the result it is to repeat."""

    key: CommandKey
    result: dict[str, Any]


class Batch:
    """Writes laid out as the function's arrays. Positions and versions come with the answer."""

    def __init__(self, codec: EventCodec, writes: Iterable[Write], meta: Meta) -> None:
        self.streams: list[str] = []
        self.expected: list[int | None] = []
        self.events: list[Any] = []
        self.of_stream: list[int] = []
        self.types: list[str] = []
        self.schema_versions: list[int] = []
        self.data: list[str] = []
        self.event_ids: list[str] = []
        self.of_meta: list[int] = []
        self.metas: list[Meta] = []
        self._codec = codec
        self._stream_numbers: dict[str, int] = {}
        self._meta_numbers: dict[int, int] = {}
        self._written: list[int] = []
        for write in writes:
            self._add(write, meta if write.meta is None else write.meta)

    def _add(self, write: Write, meta: Meta) -> None:
        stream = self._stream_number(write)
        self._written[stream - 1] += len(write.events)
        of_meta = self._meta_numbers.setdefault(id(meta), len(self.metas) + 1)
        if of_meta > len(self.metas):
            self.metas.append(meta)
        for event in write.events:
            self.data.append(self._encode(write.stream, event))
            self.events.append(event)
            self.of_stream.append(stream)
            self.types.append(type_of(type(event)))
            self.schema_versions.append(event.SCHEMA_VERSION)
            self.event_ids.append(new_id())
            self.of_meta.append(of_meta)

    def _encode(self, stream: str, event: Event) -> str:
        if self._codec.stream_of(event) != stream or not event.key():
            raise ValueError(f"{type(event).__name__} does not belong in {stream[:80]}")
        if len(stream.encode()) > STREAM_BYTES_MAX:
            raise ValueError(f"the name of a stream is too long: {stream[:80]}…")
        data = self._codec.encode(event)
        if len(data) > EVENT_BYTES_MAX:
            raise ValueError(f"{type(event).__name__} has {len(data)} bytes")
        return data.decode()

    def _stream_number(self, write: Write) -> int:
        number = self._stream_numbers.setdefault(write.stream, len(self.streams) + 1)
        if number > len(self.streams):
            self.streams.append(write.stream)
            self.expected.append(write.expected_version)
            self._written.append(0)
            return number
        first = self.expected[number - 1]
        reached = None if first is None else first + self._written[number - 1]
        if write.expected_version not in (None, reached):
            raise ValueError(
                f"{write.stream} is written twice, at versions {reached} and"
                f" {write.expected_version}"
            )
        return number

    def arguments(self) -> tuple[object, ...]:
        """Return the function's first arguments: streams, events and metas."""
        return (
            self.streams,
            self.expected,
            self.of_stream,
            self.types,
            self.schema_versions,
            self.data,
            self.event_ids,
            self.of_meta,
            [_encode_meta(meta) for meta in self.metas],
        )

    def appended(self, base: int, versions: Sequence[int] | None, at: datetime) -> Appended:
        """Return what was written, given the head before, the streams' versions and the time."""
        reached = list(versions or ())
        recorded = []
        for index, event in enumerate(self.events):
            stream = self.of_stream[index] - 1
            reached[stream] += 1
            recorded.append(
                Recorded(
                    position=base + index + 1,
                    stream=self.streams[stream],
                    version=reached[stream],
                    type=self.types[index],
                    schema_version=self.schema_versions[index],
                    event=event,
                    meta=self.metas[self.of_meta[index] - 1],
                    event_id=self.event_ids[index],
                    recorded_at=at,
                )
            )
        return Appended(first=base + 1, last=base + len(recorded), recorded=tuple(recorded))


def _encode_meta(meta: Meta) -> str:
    text = encode_meta(meta)
    if len(text) > META_BYTES_MAX:
        raise ValueError(f"the meta of an event has {len(text)} bytes")
    return text


def claim_columns(claims: Iterable[Claim]) -> tuple[list[str], list[str], list[str]]:
    """Return claims as three arrays; raises ClaimTaken when two owners want one name at once."""
    owners: dict[tuple[str, str], str] = {}
    for claim in claims:
        if owners.setdefault((claim.kind, claim.value), claim.owner) != claim.owner:
            raise ClaimTaken(claim.kind, claim.value, owners[claim.kind, claim.value])
    kinds = [kind for kind, _ in owners]
    values = [value for _, value in owners]
    return kinds, values, list(owners.values())


def command_columns(commands: Iterable[CommandResult]) -> tuple[list[str], list[str], list[str]]:
    """Return answered commands as three arrays: keys, digests, results as JSON."""
    done = tuple(commands)
    return (
        [command.key.key for command in done],
        [command.key.digest for command in done],
        [msgspec.json.encode(command.result).decode() for command in done],
    )


def answered(row: asyncpg.Record | None) -> asyncpg.Record:
    """Return the function's answer when it has appended; raises what it refuses with."""
    if row is None:
        raise RuntimeError("log_append did not answer")
    subject = row["subject"]
    match row["outcome"]:
        case "appended":
            return row
        case "conflict":
            raise StreamConflict(subject[0], int(subject[1]), int(subject[2]))
        case "claimed":
            raise ClaimTaken(*subject)
        case "repeated":
            result = msgspec.json.decode(subject[2])
            raise CommandRepeated(DoneCommand(subject[0], int(subject[1]), result))
        case "mismatch":
            raise IdempotencyMismatch(subject[0])
        case "stale_epoch":
            raise StaleEpoch(int(subject[0]))
        case outcome:
            raise RuntimeError(f"log_append answered {outcome}")
