"""Connections to NATS under our rules.

A client never gives up: it reconnects for as long as the process lives. Nothing is buffered while
it is disconnected (`pending_size=-1`), so a publish then fails at once instead of arriving minutes
later, when whoever asked for it has long been told that it failed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.errors import (
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
    Error,
    OutboundBufferLimitError,
    StaleConnectionError,
)
from nats.errors import TimeoutError as NatsTimeoutError

from shared.contracts.subjects import inbox_prefix
from shared.observability.logging import get_logger

log = get_logger(__name__)

RECONNECT_WAIT_S: Final = 0.25
CONNECT_TIMEOUT_S: Final = 2
PING_INTERVAL_S: Final = 10
MAX_OUTSTANDING_PINGS: Final = 3
DRAIN_TIMEOUT_S: Final = 5
NO_BUFFER: Final = -1

# What publishing raises while there is no server to publish to.
AWAY: Final = (
    OutboundBufferLimitError,
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
    StaleConnectionError,
)

USUAL_NAMES_MAX: Final = 256
_usual_names: set[str] = set()

Listener = Callable[[], Awaitable[None]]


class PromptClient(Client):
    """A client whose requests can be cancelled, whose flush flushes, and that reads headers fast.

    nats-py awaits an answer with `asyncio.wait_for`, which on Python 3.11 loses a cancellation that
    comes together with the answer (CPython issue 86296): the task then runs on for ever. Its PING
    overtakes what waits to be written, so a flush may end before the server has a subscription
    made just before it. And it looks at each character of each header's name, two thirds of the
    cost of reading an event.
    """

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if name in _usual_names:
                found[name] = value.strip()
            elif colon and name.isascii() and len(name.split()) == 1:
                found[name.strip()] = value.strip()
                if len(_usual_names) < USUAL_NAMES_MAX and name == name.strip():
                    _usual_names.add(name)
        return found

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        self._pongs.append(future or asyncio.Future())
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _request_new_style(
        self,
        subject: str,
        payload: bytes,
        timeout: float | None = 1,  # noqa: ASYNC109  # nats-py's signature
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        try:
            async with asyncio.timeout(timeout):
                # without a time-out of its own wait_for is a plain await
                return await super()._request_new_style(
                    subject,
                    payload,
                    timeout=None,  # type: ignore[arg-type]  # wait_for takes it
                    headers=headers,
                )
        except TimeoutError as problem:
            raise NatsTimeoutError from problem


class Hooks:
    """What a connection calls back: errors are logged, listeners hear of reconnects."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[Listener] = []
        self._last_error = ""
        self.closing = False

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every reconnect; the returned function takes that back."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def error(self, problem: Exception) -> None:
        """Log a problem of the connection, the same one only once in a row."""
        text = f"{type(problem).__name__}: {problem}"
        if text != self._last_error:
            log.warning("nats_error", connection=self._name, problem=text)
        self._last_error = text

    async def disconnected(self) -> None:
        """Log that the server is gone; the client keeps trying."""
        if self.closing:
            return
        log.warning("nats_disconnected", connection=self._name)

    async def reconnected(self) -> None:
        """Log that the server is back and tell the listeners."""
        self._last_error = ""
        log.info("nats_reconnected", connection=self._name)
        for listener in tuple(self._listeners):
            await listener()


_hooks: WeakKeyDictionary[Client, Hooks] = WeakKeyDictionary()


def options(name: str, hooks: Hooks, *, pending_size: int = NO_BUFFER) -> dict[str, Any]:
    """Return the client options that every connection of ours uses."""
    return {
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": RECONNECT_WAIT_S,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "ping_interval": PING_INTERVAL_S,
        "max_outstanding_pings": MAX_OUTSTANDING_PINGS,
        "drain_timeout": DRAIN_TIMEOUT_S,
        "pending_size": pending_size,
        "error_cb": hooks.error,
        "disconnected_cb": hooks.disconnected,
        "reconnected_cb": hooks.reconnected,
    }


def adopt(client: Client, hooks: Hooks) -> Client:
    """Remember the hooks that a client was made with, so that `on_reconnect` finds them."""
    _hooks[client] = hooks
    return client


def on_reconnect(client: Client, listener: Listener) -> Callable[[], None]:
    """Call `listener` after each reconnect of a client made here; returns how to stop that."""
    return _hooks[client].listen(listener)


async def connect(
    url: str, name: str, *, pending_size: int = NO_BUFFER, timeout_s: float = 30.0
) -> Client:
    """Connect to NATS, trying until `timeout_s` has passed.

    Answers come to an inbox below a prefix that only the user of `url` may listen to. Raises
    `TimeoutError` when no server answered in time. `pending_size` is how many bytes are
    kept for a reconnect; see the module's note before changing it.
    """
    hooks = Hooks(name)
    inbox = inbox_prefix(unquote(urlsplit(url).username or ""))
    wanted = options(name, hooks, pending_size=pending_size)
    async with asyncio.timeout(timeout_s):
        client = PromptClient()
        await client.connect(url, inbox_prefix=inbox, **wanted)
    return adopt(client, hooks)


async def close(client: Client) -> None:
    """Deliver what is pending, as far as there is a server to deliver it to, and close."""
    if client in _hooks:
        _hooks[client].closing = True
    try:
        if client.is_connected:
            await client.drain()
    except (Error, OSError, TimeoutError) as problem:
        log.info("nats_drain_failed", problem=repr(problem))
    if not client.is_closed:
        with suppress(OSError):  # the socket may be gone; closed it is in either case
            await client.close()
