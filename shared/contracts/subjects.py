"""Every NATS name in one place: subjects, streams, buckets, headers."""

import re
from typing import Final

EVENT_STREAM_PREFIX: Final = "EVENTS_"
DESIRED_BUCKET: Final = "desired"
DESIRED_STREAM: Final = f"KV_{DESIRED_BUCKET}"
_SAFE = re.compile(r"[A-Za-z0-9_-]+")


def token(text: str) -> str:
    """Return `text` as one subject token: what NATS forbids becomes `=XX` (UTF-8, hex)."""
    if _SAFE.fullmatch(text):
        return text
    return "".join(
        chr(byte) if _SAFE.fullmatch(chr(byte)) else f"={byte:02X}" for byte in text.encode()
    )


def event_stream(service: str) -> str:
    """Return the JetStream stream that replicates a service's log."""
    return f"{EVENT_STREAM_PREFIX}{service}"


def event_subject(service: str, aggregate: str, key: str, event_type: str) -> str:
    """Return the subject of one event."""
    return f"evt.{service}.{token(aggregate)}.{token(key)}.{event_type}"


def events_of(service: str) -> str:
    """Return the subject that matches all events of a service."""
    return f"evt.{service}.>"


def command_subject(service: str, command_type: str) -> str:
    """Return the subject that a command is sent to."""
    return f"cmd.{service}.{command_type}"


def query_subject(service: str, query_type: str) -> str:
    """Return the subject that a peer's question is sent to."""
    return f"qry.{service}.{query_type}"


def heartbeat_subject(agent_id: str) -> str:
    """Return the subject of an agent's heartbeats."""
    return f"tel.agents.heartbeat.{token(agent_id)}"


def all_heartbeats() -> str:
    """Return the subject that matches the heartbeats of all agents."""
    return "tel.agents.heartbeat.*"


def queue_subject(resource_group: str) -> str:
    """Return the subject on which a group's queue is told after a pass."""
    return f"tel.scheduler.queue.{token(resource_group)}"


def keypair_use_subject(gateway: str) -> str:
    """Return the subject on which a gateway tells the others what it has accepted."""
    return f"tel.gateway.use.{token(gateway)}"


def all_keypair_uses() -> str:
    """Return the subject that matches what every gateway tells the others."""
    return "tel.gateway.use.*"


def session_activity_subject() -> str:
    """Return the subject on which gateways tell which sessions are used."""
    return "tel.gateway.activity"


def node_log_subject(agent_id: str) -> str:
    """Return the subject on which a node answers for its kernels' logs."""
    return f"node.{token(agent_id)}.log"


def desired_key(agent_id: str, kernel_id: str) -> str:
    """Return the key of one kernel in the desired-state bucket."""
    return f"{token(agent_id)}.{token(kernel_id)}"


def inbox_prefix(user: str) -> str:
    """Return below which subject a client's answers arrive; nobody else may listen there."""
    return f"_INBOX_{token(user)}" if user else "_INBOX"
