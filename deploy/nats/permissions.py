"""Who may use which subjects of NATS; what is not listed is refused.

A service publishes its own events, answers its own commands and questions, and reads everybody's
events. Answers go to inboxes below a prefix that only their owner may listen to. A node may beat,
report, and read what the nodes shall run; it can't send commands to anything else.
"""

from collections.abc import Mapping
from typing import Any, Final

from deploy.embedded.roster import ADMINISTRATOR, GATEWAY, INNER_SERVICES, NODE
from deploy.nats.configuration import NatsUser
from shared.contracts.subjects import (
    DESIRED_BUCKET,
    DESIRED_STREAM,
    all_heartbeats,
    all_keypair_uses,
    command_subject,
    event_stream,
    events_of,
    heartbeat_subject,
    inbox_prefix,
    node_log_subject,
    query_subject,
    session_activity_subject,
)

_API: Final = "$JS.API"
_READING: Final = (
    "STREAM.INFO.{stream}",
    "STREAM.MSG.GET.{stream}",
    "DIRECT.GET.{stream}",
    "DIRECT.GET.{stream}.>",
    "CONSUMER.CREATE.{stream}",
    "CONSUMER.CREATE.{stream}.>",
    "CONSUMER.INFO.{stream}.*",
    "CONSUMER.MSG.NEXT.{stream}.*",
    "CONSUMER.DELETE.{stream}.*",
)
_KEEPING: Final = ("STREAM.CREATE.{stream}", "STREAM.UPDATE.{stream}", "STREAM.DELETE.{stream}")
_ANYTHING: Final = "*"
# Services answer each request once, and may take their time.
_ANSWERS: Final = {"max": 1, "expires": "2m"}


def nats_users(passwords: Mapping[str, str], agent_id: str) -> list[NatsUser]:
    """Return the users with what each may do; `node` is the node with `agent_id`."""
    return [
        NatsUser(name, password, permissions_of(name, agent_id))
        for name, password in passwords.items()
    ]


def permissions_of(name: str, agent_id: str) -> dict[str, Any] | None:
    """Return what a service, `node` or the administrator (None: everything) may do."""
    if name == ADMINISTRATOR:
        return None
    if name == NODE:
        publish, subscribe = _node(agent_id)
    else:
        publish, subscribe = _service(name)
    return {
        "publish": {"allow": [f"{_API}.INFO", f"tel.services.status.{name}", *publish]},
        "subscribe": {"allow": [f"{inbox_prefix(name)}.>", *subscribe]},
        "allow_responses": _ANSWERS,
    }


def _service(name: str) -> tuple[list[str], list[str]]:
    streams = [event_stream(service) for service in INNER_SERVICES]
    publish = [_api(line, stream) for stream in streams for line in _READING]
    subscribe = [command_subject(name, _ANYTHING), query_subject(name, _ANYTHING)]
    if name in INNER_SERVICES:
        publish.append(events_of(name))
        publish += [_api(line, event_stream(name)) for line in _KEEPING]
    if name in {"agents", "scheduler"}:
        subscribe.append(all_heartbeats())
    if name == "policies":
        publish += [command_subject("users", kind) for kind in ("RetirePolicy", "ReinstatePolicy")]
    if name == "scheduler":
        subscribe.append(session_activity_subject())
        publish += [f"tel.{name}.>", f"$KV.{DESIRED_BUCKET}.>"]
        publish += [_api(line, DESIRED_STREAM) for line in (*_READING, *_KEEPING)]
    if name == GATEWAY:
        subscribe.append("tel.>")
        publish += ["node.*.log", all_keypair_uses(), session_activity_subject()]
        publish += [command_subject(service, _ANYTHING) for service in INNER_SERVICES]
        publish += [query_subject(service, _ANYTHING) for service in INNER_SERVICES]
    return publish, subscribe


def _node(agent_id: str) -> tuple[list[str], list[str]]:
    publish = [heartbeat_subject(agent_id), command_subject("scheduler", "ReportKernels")]
    publish += [_api(line, DESIRED_STREAM) for line in _READING]
    return publish, [node_log_subject(agent_id)]


def _api(line: str, stream: str) -> str:
    return f"{_API}.{line.format(stream=stream)}"
