"""Events keep their bytes for ever and are read in their newest shape."""

from datetime import UTC, datetime
from typing import ClassVar, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import LOG_SERVICES, Event
from shared.eventlog.codec import EventCodec, UnknownEventError
from shared.eventlog.codecs import codec_for


class Measured(Event, frozen=True, tag="Measured"):
    AGGREGATE: ClassVar[str] = "gauge"
    SCHEMA_VERSION: ClassVar[int] = 3
    gauge_id: str
    millimetres: int
    at: datetime | None = None

    def key(self) -> str:
        return self.gauge_id


class Removed(Event, frozen=True, tag="Removed"):
    AGGREGATE: ClassVar[str] = "gauge"
    gauge_id: str

    def key(self) -> str:
        return self.gauge_id


class Impostor(Event, frozen=True, tag="Removed"):
    AGGREGATE: ClassVar[str] = "gauge"


GaugeEvent: TypeAlias = Measured | Removed
UPCASTERS = {
    ("Measured", 1): lambda old: {**old, "centimetres": old.pop("cm")},
    ("Measured", 2): lambda old: {**old, "millimetres": 10 * old["centimetres"]},
}
CODEC = EventCodec("gauges", GaugeEvent, UPCASTERS)


@given(
    st.builds(
        Measured,
        gauge_id=st.text(),
        millimetres=st.integers(-(2**63), 2**63 - 1),
        at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
)
def test_decoding_what_was_encoded_gives_the_event_back(event: Measured):
    assert CODEC.decode("Measured", 3, CODEC.encode(event)) == event


@given(st.integers(-(10**9), 10**9))
def test_old_versions_pass_every_upcaster_in_turn(cm: int):
    first = msgspec.json.encode({"type": "Measured", "gauge_id": "g", "cm": cm})
    second = msgspec.json.encode({"type": "Measured", "gauge_id": "g", "centimetres": cm})
    expected = Measured(gauge_id="g", millimetres=10 * cm)
    assert CODEC.decode("Measured", 1, first) == expected
    assert CODEC.decode("Measured", 2, second) == expected


def test_a_field_that_is_not_known_yet_is_passed_over():
    data = b'{"type":"Removed","gauge_id":"g","added_later":1}'
    assert CODEC.decode("Removed", 1, data) == Removed(gauge_id="g")


@pytest.mark.parametrize(("event_type", "version"), [("Renamed", 1), ("Removed", 2)])
def test_an_event_of_a_newer_release_is_not_guessed_at(event_type: str, version: int):
    with pytest.raises(UnknownEventError):
        CODEC.decode(event_type, version, b"{}")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"Measured"}', b'{"gauge_id":1}', b"\xff"])
def test_bytes_that_are_not_the_event_are_refused(data: bytes):
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        CODEC.decode("Removed", 1, data)


def test_another_service_s_event_is_not_encoded():
    for event in (Impostor(), codec_for("users").decode("DomainCreated", 1, b'{"name":"d"}')):
        with pytest.raises(UnknownEventError):
            CODEC.encode(event)


def test_a_missing_upcaster_is_found_when_the_codec_is_made():
    with pytest.raises(TypeError, match="no upcaster from schema version 2"):
        EventCodec("gauges", GaugeEvent, {("Measured", 1): dict})


def test_two_events_cannot_be_stored_under_one_name():
    with pytest.raises(TypeError, match="stored as Removed"):
        EventCodec("gauges", Removed | Impostor)


def test_a_stream_s_name_leads_back_to_aggregate_and_key():
    event = Removed(gauge_id="a-b")
    assert CODEC.stream_of(event) == "gauge-a-b"
    assert CODEC.address("gauge-a-b") == ("gauge", "a-b")
    assert codec_for("policies").address("user-policy-a") == ("user-policy", "a")
    assert CODEC.address("unknown-a-b") == ("unknown", "a-b")


@pytest.mark.parametrize("service", LOG_SERVICES)
def test_every_service_has_a_codec(service: str):
    codec = codec_for(service)  # type: ignore[arg-type]  # the parameter is one of them
    assert codec.service == service
    assert codec.types or service in ("storage", "modelstore")
