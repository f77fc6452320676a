"""The hash chain: each event's SHA-256 covers its predecessor's.

The same bytes are hashed by the append function in Postgres; verification uses this second
implementation, so that one checks the other.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.eventlog.records import StoredEvent

GENESIS: Final = bytes(32)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def link(previous: bytes, event: StoredEvent) -> bytes:
    """Return the hash of an event that follows the one whose hash is `previous`.

    All numbers come first, with the lengths of what follows, so that no two events share bytes.
    """
    kind, stream = event.type.encode(), event.stream.encode()
    moment = (event.recorded_at - _EPOCH) // _MICROSECOND
    numbers = (
        f"{event.position} {event.version} {event.schema_version} {event.event_id} {moment}"
        f" {len(kind)} {len(stream)} {len(event.meta_json)}\n"
    )
    digest = hashlib.sha256(previous)
    for part in (numbers.encode(), kind, stream, event.meta_json, event.data):
        digest.update(part)
    return digest.digest()
