"""The FastStream broker that carries commands, on a connection under our rules.

FastStream's own connection gives up after two minutes without a server, buffers what it cannot
send, and raises while draining without a server; so the broker is given a connection of ours,
which the service shares and closes. It decodes nothing: a handler gets the message as it came,
and `commands` does the rest.
"""

import logging
from types import TracebackType
from typing import Final

from faststream import AckPolicy
from faststream.nats import NatsBroker
from nats.aio.client import Client

GRACE_S: Final = 10.0


class ServiceBroker(NatsBroker):
    """A `NatsBroker` on a connection that somebody else opened and will close."""

    def __init__(self, client: Client, name: str) -> None:
        super().__init__(
            name=name,
            apply_types=False,
            ack_policy=AckPolicy.MANUAL,
            graceful_timeout=GRACE_S,
            logger=logging.getLogger(__name__),
            log_level=logging.DEBUG,
        )
        self._client = client

    async def _connect(self) -> Client:
        self.config.connect(self._client)
        return self._client

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Stop the subscribers and let what runs finish; the connection stays open."""
        self._connection = None
        await super().stop(exc_type, exc_val, exc_tb)


def make_broker(client: Client, name: str) -> ServiceBroker:
    """Return a broker on `client`; `broker.start()` starts its subscribers."""
    return ServiceBroker(client, name)
