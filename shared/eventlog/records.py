"""What goes into the log and what comes out of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from shared.contracts.base import Event, Meta


class Write(NamedTuple):
    """Events for one stream. `expected_version` None appends whatever the version is.

    `meta` stands for the append's own where a batch holds several commands.
    """

    stream: str
    expected_version: int | None
    events: Sequence[Event]
    meta: Meta | None = None


class Claim(NamedTuple):
    """A name that only one owner may hold: `value` is unique within `kind`."""

    kind: str
    value: str
    owner: str


class CommandKey(NamedTuple):
    """An idempotency key (scoped by its caller) and the SHA-256 of the request it stands for."""

    key: str
    digest: str


class DoneCommand(msgspec.Struct, frozen=True):
    """A command that was accepted before: its answer and the position it is visible at."""

    key: str
    position: int
    result: dict[str, Any]


class Recorded(msgspec.Struct, frozen=True):
    """An event of the log, decoded."""

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    event: Event
    meta: Meta
    event_id: str
    recorded_at: datetime


class StoredEvent(msgspec.Struct, frozen=True):
    """An event of the log as it is stored: `data` and `meta_json` are the bytes that were hashed.

    `hash` is the SHA-256 over the predecessor's hash and this event (`chain.link`).
    """

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    data: bytes
    meta_json: bytes
    event_id: str
    recorded_at: datetime
    hash: bytes


class Appended(msgspec.Struct, frozen=True):
    """What an append wrote: positions `first` to `last`; `last` is `first - 1` for no events.

    `last` is the read-your-writes position in either case.
    """

    first: int
    last: int
    recorded: tuple[Recorded, ...] = ()


class Stream(msgspec.Struct, frozen=True):
    """One aggregate's events, oldest first; `version` 0 means that there is none."""

    name: str
    version: int
    events: tuple[Event, ...]
