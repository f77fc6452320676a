"""Writes: one command to one service, and the wait until every read shows what it did."""

from typing import Any, Final, NamedTuple, Protocol

import msgspec

from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from shared.contracts.base import (
    LOG_SERVICES,
    Accepted,
    Command,
    Meta,
    Rejected,
    ServiceName,
)
from shared.eventlog.records import CommandKey
from shared.messaging.command_client import CommandClient
from shared.observability.metrics import counter

ANSWERED_WITHIN_S: Final = 10.0
_unseen = counter("writes_not_yet_visible_total", "Writes answered 202.", ("service",))


class Progress(Protocol):
    """How far the read models have followed each service."""

    def position(self, source: str) -> int:
        """Return the position of a service that reads show."""
        ...

    async def wait_for(self, source: str, position: int, timeout_s: float) -> bool:
        """Wait until a position is visible; False when it is not in time."""
        ...


class Written(NamedTuple):
    """A write that is in the log. `is_visible` says whether reads show it already."""

    service: ServiceName
    position: int
    result: dict[str, Any]
    is_visible: bool


class Writes:
    """Sends commands for callers."""

    def __init__(
        self, client: CommandClient, progress: Progress, *, visible_within_s: float
    ) -> None:
        """Wait up to `visible_within_s` until the read models show a write."""
        self._client = client
        self._progress = progress
        self._visible_within_s = visible_within_s
        self._told: dict[str, int] = {}

    async def perform(self, call: Call, command: Command, key: CommandKey | None = None) -> Written:
        """Send a command in the caller's name; raises Refused with the service's refusal."""
        return await self.send(command, call.meta(), key)

    async def send(self, command: Command, meta: Meta, key: CommandKey | None = None) -> Written:
        """Send a command and wait until the read models show it, for so long as is set."""
        reply = await self.submit(command, meta, key)
        is_visible = await self.visible(reply.service, reply.position)
        return Written(reply.service, reply.position, dict(reply.result), is_visible)

    async def submit(self, command: Command, meta: Meta, key: CommandKey | None = None) -> Accepted:
        """Send a command and return as soon as it is in the log; raises Refused otherwise."""
        reply = await self._client.send(
            command,
            meta=meta,
            idempotency=key,
            timeout_s=ANSWERED_WITHIN_S,
            seen=self._seen(command.SERVICE),
        )
        if isinstance(reply, Rejected):
            raise Refused(reply.rejection)
        self._told[reply.service] = max(self._told.get(reply.service, 0), reply.position)
        return reply

    def _seen(self, asked: ServiceName) -> dict[str, int]:
        """Return how far other services have been shown or told of, to anybody, by this gateway."""
        others = (service for service in LOG_SERVICES if service != asked)
        seen = {one: max(self._progress.position(one), self._told.get(one, 0)) for one in others}
        return {service: position for service, position in seen.items() if position}

    def told(self, service: ServiceName) -> int:
        """Return the last position of a service that this gateway was told of."""
        return self._told.get(service, 0)

    async def visible(self, service: ServiceName, position: int) -> bool:
        """Wait until the read models show a position, for so long as is set; False if not yet."""
        is_visible = await self._progress.wait_for(service, position, self._visible_within_s)
        if not is_visible:
            _unseen.labels(service).inc()
        return is_visible


def scoped(key: CommandKey | None, part: str) -> CommandKey | None:
    """Return the key of one part of a request that sends several commands."""
    return None if key is None else CommandKey(f"{key.key}#{part}", key.digest)


def merged(document: str, **members: Any) -> bytes:
    """Return a document's text with further members at its end."""
    return f"{document[:-1]},{msgspec.json.encode(members).decode()[1:]}".encode()
