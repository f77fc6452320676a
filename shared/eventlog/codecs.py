"""The codec of every service, made from the published language."""

from functools import cache

from shared.contracts.base import ServiceName
from shared.contracts.catalog import VOCABULARIES
from shared.contracts.upcasters import UPCASTERS
from shared.eventlog.codec import NO_UPCASTERS, EventCodec


@cache
def codec_for(service: ServiceName) -> EventCodec:
    """Return the codec for a service's events, with its upcasters."""
    return EventCodec(service, VOCABULARIES[service].events, UPCASTERS.get(service, NO_UPCASTERS))
