"""What travels beside the body of a command or a query: NATS headers, CloudEvents 1.0 binary mode.

The body is the bare JSON of the message; who asked, why, and until when is in the headers.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from shared.contracts.base import Meta
from shared.kernel.clock import render_time

META: Final = "qm-meta"
DEADLINE: Final = "qm-deadline"
IDEMPOTENCY_KEY: Final = "qm-idempotency-key"
REQUEST_DIGEST: Final = "qm-request-digest"
SEEN: Final = "qm-seen"
STATUS: Final = "qm-status"
PLAIN: Final = "-_.:~/"

_meta_decoder = msgspec.json.Decoder(Meta)


class Envelope(NamedTuple):
    """The circumstances of one message. `key` and `digest` come together or not at all.

    `seen` is how far the sender has followed other services: whoever decides on a replica of one
    of them waits until it is there too, so what a client has been told holds for what it asks.
    """

    id: str
    meta: Meta
    deadline: datetime
    key: str | None = None
    digest: str | None = None
    seen: Mapping[str, int] = MappingProxyType({})


def encode_meta(meta: Meta) -> str:
    """Return a meta as one line of ASCII JSON, fit for a header."""
    text = msgspec.json.encode(meta).decode()
    if not text.isascii():
        text = json.dumps(json.loads(text), separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON lets through


def decode_meta(text: str | bytes) -> Meta:
    """Return the meta that `encode_meta` made; raises `msgspec.ValidationError`."""
    return _meta_decoder.decode(text)


def headers_of(kind: str, source: str, envelope: Envelope, now: datetime) -> dict[str, str]:
    """Return the headers of a message of type `kind` sent by `source` at `now`."""
    meta = envelope.meta
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": envelope.id,
        "ce-type": kind,
        "ce-source": source,
        "ce-time": render_time(now),
        "ce-correlationid": quote(meta.correlation_id, safe=PLAIN),
        META: encode_meta(meta),
        DEADLINE: render_time(envelope.deadline),
    }
    if meta.causation_id is not None:
        headers["ce-causationid"] = quote(meta.causation_id, safe=PLAIN)
    if envelope.key is not None and envelope.digest is not None:
        headers[IDEMPOTENCY_KEY] = quote(envelope.key, safe=PLAIN)
        headers[REQUEST_DIGEST] = envelope.digest
    if envelope.seen:
        headers[SEEN] = ",".join(f"{name}={position}" for name, position in envelope.seen.items())
    return headers


def read_headers(headers: dict[str, str] | None) -> Envelope:
    """Read what `headers_of` wrote; raises `ValueError` when something is missing or malformed."""
    found = headers or {}
    missing = [name for name in ("ce-id", META, DEADLINE) if not found.get(name)]
    if missing:
        raise ValueError(f"headers are missing: {', '.join(missing)}")
    key, digest = found.get(IDEMPOTENCY_KEY), found.get(REQUEST_DIGEST)
    if (key is None) != (digest is None):
        raise ValueError(f"{IDEMPOTENCY_KEY} and {REQUEST_DIGEST} belong together")
    deadline = datetime.fromisoformat(found[DEADLINE])
    if deadline.tzinfo is None:
        raise ValueError(f"{DEADLINE} has no time zone")
    return Envelope(
        id=found["ce-id"],
        meta=decode_meta(found[META]),
        deadline=deadline,
        key=None if key is None else unquote(key),
        digest=digest,
        seen=_read_seen(found.get(SEEN, "")),
    )


def _read_seen(text: str) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {name: int(position) for name, _, position in pairs}
