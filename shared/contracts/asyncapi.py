"""AsyncAPI 3.0 documents and JSON Schemas (2020-12) of the published language, as plain dicts.

Generated here and not by the message framework, which cannot describe msgspec structs, replies,
headers, or the events that the relay publishes.
"""

import inspect
from typing import Any, Final

import msgspec

from shared.contracts import subjects
from shared.contracts.base import Accepted, Command, Event, Query, Rejected
from shared.contracts.catalog import Vocabulary

JSON: Final = "application/json"
CONTRACT_VERSION: Final = "1.0.0"
SCHEMA_PATH: Final = "#/components/schemas/{name}"
REPLY: Final[dict[str, Any]] = {
    "oneOf": [{"$ref": "#/components/schemas/Accepted"}, {"$ref": "#/components/schemas/Rejected"}]
}
EVENT_HEADERS: Final[dict[str, str]] = {
    "ce-specversion": "CloudEvents version, `1.0`.",
    "ce-id": "The event's id, unique for ever.",
    "ce-type": "The event's type, as in the payload.",
    "ce-source": "The service whose log holds the event: `/services/<service>`.",
    "ce-subject": "The aggregate: `<aggregate>-<id>`.",
    "ce-time": "When the event was recorded, RFC 3339.",
    "ce-position": "Position in the service's log; equals the stream sequence.",
    "ce-aggregateversion": "The aggregate's version after this event, from 1.",
    "ce-schemaversion": "Version of the payload's schema.",
    "ce-correlationid": "The request that all of this goes back to.",
    "ce-causationid": "The command or event that caused this one.",
    "content-type": "`application/json`.",
}
COMMAND_HEADERS: Final[dict[str, str]] = {
    "ce-specversion": "CloudEvents version, `1.0`.",
    "ce-id": "The command's id.",
    "ce-type": "The command's type, as in the payload.",
    "ce-source": "Who sends it.",
    "ce-time": "When it was sent, RFC 3339.",
    "ce-correlationid": "The request that all of this goes back to.",
    "qm-meta": "Actor, client address and ids, as JSON.",
    "qm-deadline": "After this moment (RFC 3339) the command is not carried out.",
    "qm-idempotency-key": "Repeating a command with this key returns the first answer.",
    "qm-request-digest": "SHA-256 of the request that the key stands for.",
    "content-type": "`application/json`.",
}


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").split("\n", maxsplit=1)[0]


def _headers(described: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            name: {"type": "string", "description": text} for name, text in described.items()
        },
    }


def _message(thing: type, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "name": thing.__name__,
        "title": thing.__name__,
        "summary": _first_line(thing),
        "contentType": JSON,
        "headers": _headers(headers),
        "payload": {"$ref": SCHEMA_PATH.format(name=thing.__name__)},
    }


def _event_channel(service: str, event: type[Event]) -> dict[str, Any]:
    address = f"evt.{service}.{subjects.token(event.AGGREGATE)}.{{id}}.{event.__name__}"
    return {
        "address": address,
        "summary": _first_line(event),
        "parameters": {"id": {"description": f"The {event.AGGREGATE}'s id as a subject token."}},
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
    }


def _request_channel(address: str, thing: type) -> dict[str, Any]:
    return {
        "address": address,
        "summary": _first_line(thing),
        "messages": {
            thing.__name__: {"$ref": f"#/components/messages/{thing.__name__}"},
            "Reply": {"$ref": "#/components/messages/Reply"},
        },
    }


def _request_operation(thing: type) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{thing.__name__}"}
    return {
        "action": "receive",
        "channel": channel,
        "summary": _first_line(thing),
        "messages": [{"$ref": f"#/channels/{thing.__name__}/messages/{thing.__name__}"}],
        "reply": {
            "channel": channel,
            "messages": [{"$ref": f"#/channels/{thing.__name__}/messages/Reply"}],
        },
    }


def schemas(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return every schema that the service's messages need, by name."""
    types: tuple[type[Event | Command | Query | Accepted | Rejected], ...] = (
        *vocabulary.events,
        *vocabulary.commands,
        *vocabulary.queries,
        Accepted,
        Rejected,
    )
    _, components = msgspec.json.schema_components(types, ref_template=SCHEMA_PATH)
    for event in vocabulary.events:
        components[event.__name__]["x-schema-version"] = event.SCHEMA_VERSION
    return dict(sorted(components.items()))


def document(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the AsyncAPI document of one service."""
    service = vocabulary.service
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event in vocabulary.events:
        name = event.__name__
        channels[name] = _event_channel(service, event)
        messages[name] = _message(event, EVENT_HEADERS)
        operations[f"publish{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": _first_line(event),
        }
    for command in vocabulary.commands:
        name = command.__name__
        channels[name] = _request_channel(subjects.command_subject(service, name), command)
        messages[name] = _message(command, COMMAND_HEADERS)
        operations[f"handle{name}"] = _request_operation(command)
    for query in vocabulary.queries:
        name = query.__name__
        channels[name] = _request_channel(subjects.query_subject(service, name), query)
        messages[name] = _message(query, {})
        operations[f"answer{name}"] = _request_operation(query)
    messages["Reply"] = {"name": "Reply", "title": "Reply", "contentType": JSON, "payload": REPLY}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Quartermaster: {service}",
            "version": CONTRACT_VERSION,
            "description": vocabulary.summary.strip()
            + "\n\nEvents are in the JetStream stream "
            + f"`{subjects.event_stream(service)}`, in the order of the service's log, without "
            + "gaps: the stream sequence is the log position. Start a consumer at any sequence "
            + "to replay from there. Skip types that you do not know.",
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas(vocabulary)},
    }
