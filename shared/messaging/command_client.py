"""The sending side of commands."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
from nats.aio.client import Client

from shared.contracts.base import Command, Meta, Rejected, Reply
from shared.contracts.subjects import command_subject
from shared.eventlog.records import CommandKey
from shared.kernel.clock import Clock, SystemClock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.cloudevents import SOURCE_PREFIX
from shared.messaging.envelope import Envelope, headers_of
from shared.messaging.requests import Requester
from shared.observability.logging import get_logger

log = get_logger(__name__)

DEFAULT_TIMEOUT_S: Final = 5.0
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class CommandClient:
    """Sends commands to services. `source` is the sender's name.

    A missing answer is a rejection too: `service_away` (nobody listens; at once), `bus_away`, and
    `no_answer`, after which the outcome is unknown and only a repetition under the same
    idempotency key is safe.
    """

    def __init__(self, nats: Client, source: str, *, clock: Clock | None = None) -> None:
        self._requester = Requester(nats)
        self._source = SOURCE_PREFIX + source
        self._clock = clock or SystemClock()

    async def send(
        self,
        command: Command,
        *,
        meta: Meta,
        idempotency: CommandKey | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        command_id: str | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> Reply:
        """Send a command and return its answer.

        After `timeout_s` nobody executes it any more. `command_id` becomes the causation of its
        events; without one a new id is made. `seen` is how far the sender has followed other
        services; the decision rests on at least that.
        """
        now = self._clock.now()
        key, digest = idempotency or (None, None)
        envelope = Envelope(
            command_id or new_id(),
            meta,
            now + timedelta(seconds=timeout_s),
            key,
            digest,
            seen or {},
        )
        kind = type(command).__name__
        answer = await self._requester.request(
            f"The {command.SERVICE} service",
            command_subject(command.SERVICE, kind),
            msgspec.json.encode(command),
            headers_of(kind, self._source, envelope, now),
            timeout_s,
        )
        if isinstance(answer, Rejection):
            return Rejected(rejection=answer)
        try:
            return _reply_decoder.decode(answer[0])
        except msgspec.DecodeError as problem:
            log.error("bad_reply", command=kind, problem=str(problem))  # noqa: TRY400  # not ours
            text = f"The {command.SERVICE} service answered what can't be understood."
            return Rejected(rejection=unavailable("bad_answer", text))
