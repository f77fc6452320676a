"""Events to the exact bytes that are stored, hashed and published, and back.

An event that was written under an older schema version passes its upcasters when it is read, so
the rest of the code knows only the newest shape.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, get_args

import msgspec

from shared.contracts.base import Event

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
Upcasters: TypeAlias = Mapping[tuple[str, int], Upcaster]
NO_UPCASTERS: Final[Upcasters] = MappingProxyType({})


class UnknownEventError(Exception):
    """An event of a type or of a schema version that this release does not know."""


class EventCodec:
    """Encodes and decodes the events of one service.

    `union` is the service's events: a union of Event classes, one class, or a tuple of classes,
    which may be empty. An upcaster under
    `(type, n)` turns the JSON object of schema version n into that of n + 1; a class whose
    SCHEMA_VERSION is above 1 needs one for every version before.
    Raises TypeError when two classes share a tag or an upcaster is missing.
    """

    def __init__(self, service: str, union: Any, upcasters: Upcasters = NO_UPCASTERS) -> None:
        self.service = service
        self._upcasters = upcasters
        self._encoder = msgspec.json.Encoder()
        self._classes: dict[str, type[Event]] = {}
        for cls in _members(union):
            self._add(cls)
        self._decoders = {tag: msgspec.json.Decoder(cls) for tag, cls in self._classes.items()}
        self.types: frozenset[str] = frozenset(self._classes)
        names = {cls.AGGREGATE for cls in self._classes.values()}
        self._aggregates = sorted(names, key=len, reverse=True)  # user-policy before user

    def _add(self, cls: type[Event]) -> None:
        tag = type_of(cls)
        if tag in self._classes:
            raise TypeError(f"two events of {self.service} are stored as {tag}")
        for version in range(1, cls.SCHEMA_VERSION):
            if (tag, version) not in self._upcasters:
                raise TypeError(f"{tag} has no upcaster from schema version {version}")
        self._classes[tag] = cls

    def knows(self, event_type: str) -> bool:
        """Tell whether events of this type can be decoded."""
        return event_type in self._decoders

    def encode(self, event: Event) -> bytes:
        """Return the JSON of an event; raises UnknownEventError for another service's event."""
        if self._classes.get(type_of(type(event))) is not type(event):
            raise UnknownEventError(f"{type(event).__name__} is no event of {self.service}")
        return self._encoder.encode(event)

    def decode(self, event_type: str, schema_version: int, data: bytes | str) -> Event:
        """Return the event that `data` holds, in its newest shape.

        Raises UnknownEventError for a type or version of another release, and msgspec's
        ValidationError or DecodeError when the bytes are not such an event.
        """
        decoder = self._decoders.get(event_type)
        if decoder is None:
            raise UnknownEventError(f"{self.service} knows no event {event_type}")
        current = self._classes[event_type].SCHEMA_VERSION
        if schema_version == current:
            return decoder.decode(data)
        if schema_version > current:
            raise UnknownEventError(f"{event_type} v{schema_version} is newer than this release")
        document = msgspec.json.decode(data)
        for version in range(schema_version, current):
            document = self._upcasters[event_type, version](document)
        return decoder.decode(self._encoder.encode(document))

    def stream_of(self, event: Event) -> str:
        """Return the stream that an event belongs to."""
        return stream_name(event.AGGREGATE, event.key())

    def address(self, stream: str) -> tuple[str, str]:
        """Split a stream's name into aggregate and key.

        An aggregate that this release does not know (a newer one has written it) ends at the
        first hyphen.
        """
        for aggregate in self._aggregates:
            if stream.startswith(f"{aggregate}-"):
                return aggregate, stream[len(aggregate) + 1 :]
        aggregate, _, key = stream.partition("-")
        return aggregate, key


def _members(union: Any) -> tuple[type[Event], ...]:
    if isinstance(union, tuple):
        return union
    return get_args(union) or (union,)


def stream_name(aggregate: str, key: str) -> str:
    """Return the name of an aggregate's stream."""
    return f"{aggregate}-{key}"


def type_of(cls: type[Event]) -> str:
    """Return the name that events of a class are stored under: its tag."""
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{cls.__name__} has no tag to be stored under")
    return tag
