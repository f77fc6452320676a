"""The FastStream broker that carries commands, on a connection under our rules.

FastStream's own connection gives up after two minutes without a server, buffers what it cannot
send, and raises while draining without a server; so the broker here is given ours. It decodes
nothing: the handler gets the message as it came, and `commands` does the rest.
"""

import logging
from types import TracebackType

from faststream import AckPolicy
from faststream.nats import NatsBroker
from nats.aio.client import Client

from shared.messaging import connection

GRACE_S = 10.0


class ServiceBroker(NatsBroker):
    """A `NatsBroker` that connects and closes as `shared.messaging.connection` does."""

    def __init__(self, url: str, name: str, *, timeout_s: float) -> None:
        super().__init__(
            url,
            name=name,
            apply_types=False,
            ack_policy=AckPolicy.MANUAL,
            graceful_timeout=GRACE_S,
            logger=logging.getLogger(__name__),
            log_level=logging.DEBUG,
        )
        self._open = (url, name, timeout_s)

    async def _connect(self) -> Client:
        url, name, timeout_s = self._open
        client = await connection.connect(url, name, timeout_s=timeout_s)
        self.config.connect(client)
        return client

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Stop the subscribers, let what runs finish, and close; never raises for a lost server."""
        client, self._connection = self._connection, None
        try:
            await super().stop(exc_type, exc_val, exc_tb)
        finally:
            self.config.disconnect()
            if client is not None:
                await connection.close(client)


def make_broker(url: str, name: str, *, timeout_s: float = 30.0) -> ServiceBroker:
    """Return a broker that is not connected yet.

    `await broker.connect()` returns the client it uses, which the service may share, and raises
    `TimeoutError` after `timeout_s` without a server; `broker.start()` starts the subscribers.
    """
    return ServiceBroker(url, name, timeout_s=timeout_s)
