"""From a message of an event stream to an event, skipping what this release doesn't know."""

from shared.eventlog.codec import EventCodec
from shared.eventlog.records import Recorded
from shared.messaging.cloudevents import POSITION, TYPE, read_event
from shared.messaging.envelope import decode_meta
from shared.messaging.reader import Delivery


class GapError(Exception):
    """A sequence is not the one that follows: something is missing or is another log's."""


class PoisonError(Exception):
    """An event cannot be decoded or applied."""

    def __init__(self, position: int, event_type: str, problem: Exception) -> None:
        super().__init__(f"event {position} ({event_type}): {type(problem).__name__}: {problem}")
        self.position = position
        self.event_type = event_type


def follows(delivery: Delivery, position: int) -> None:
    """Check that a message is the one after `position`; raises GapError."""
    if delivery.sequence != position + 1:
        raise GapError(f"{delivery.sequence} came where {position + 1} was due")
    stated = delivery.headers.get(POSITION)
    if stated != str(delivery.sequence):
        raise GapError(f"sequence {delivery.sequence} holds event {stated}")


def decode(delivery: Delivery, codec: EventCodec) -> Recorded | None:
    """Return the event, or None for a type that this release doesn't know; raises PoisonError."""
    event_type = delivery.headers.get(TYPE, "")
    if not codec.knows(event_type):
        return None
    try:
        stored = read_event(delivery.headers, delivery.data)
        return Recorded(
            position=stored.position,
            stream=stored.stream,
            version=stored.version,
            type=stored.type,
            schema_version=stored.schema_version,
            event=codec.decode(stored.type, stored.schema_version, stored.data),
            meta=decode_meta(stored.meta_json),
            event_id=stored.event_id,
            recorded_at=stored.recorded_at,
        )
    except Exception as problem:  # whatever is wrong with it, the event is what stops the reader
        raise PoisonError(delivery.sequence, event_type, problem) from problem
