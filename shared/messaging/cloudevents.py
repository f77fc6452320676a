"""The headers of a published event: CloudEvents 1.0 binary mode plus what a projection needs.

The body of the message is the event's own JSON, byte for byte as the log holds it. `ce-position`
equals the message's sequence in its JetStream stream. `qm-hash` is the SHA-256 (hex) that chains
the event to its predecessor.
"""

from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from shared.eventlog.records import StoredEvent
from shared.kernel.clock import render_time
from shared.messaging.envelope import META, PLAIN, decode_meta

SOURCE_PREFIX: Final = "/quartermaster/"
TYPE: Final = "ce-type"
POSITION: Final = "ce-position"
HASH: Final = "qm-hash"


def event_headers(service: str, event: StoredEvent) -> dict[str, str]:
    """Return the headers of one event of `service`."""
    meta = decode_meta(event.meta_json)
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": event.event_id,
        TYPE: event.type,
        "ce-source": SOURCE_PREFIX + service,
        "ce-subject": quote(event.stream, safe=PLAIN),
        "ce-time": render_time(event.recorded_at),
        POSITION: str(event.position),
        "ce-aggregateversion": str(event.version),
        "ce-schemaversion": str(event.schema_version),
        "ce-correlationid": quote(meta.correlation_id, safe=PLAIN),
        META: event.meta_json.decode(),
        HASH: event.hash.hex(),
    }
    if meta.causation_id is not None:
        headers["ce-causationid"] = quote(meta.causation_id, safe=PLAIN)
    return headers


def read_event(headers: dict[str, str], data: bytes) -> StoredEvent:
    """Read what `event_headers` wrote; raises `KeyError` or `ValueError` on what is not one."""
    return StoredEvent(
        position=int(headers[POSITION]),
        stream=unquote(headers["ce-subject"]),
        version=int(headers["ce-aggregateversion"]),
        type=headers[TYPE],
        schema_version=int(headers["ce-schemaversion"]),
        data=data,
        meta_json=headers[META].encode(),
        event_id=headers["ce-id"],
        recorded_at=datetime.fromisoformat(headers["ce-time"]),
        hash=bytes.fromhex(headers.get(HASH, "")),
    )
