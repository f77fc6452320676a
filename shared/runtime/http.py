"""One HTTP listener a process: liveness, readiness and metrics, and the service's own app if any.

`/healthz` says that the event loop turns, `/readyz` whether the service can do its work and if
not why, `/metrics` is for Prometheus. Every other path goes to the app, or is answered 404; while
the service is still starting it is answered 503, so that a client tries again.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import msgspec
import uvicorn

from shared.observability.health import Health
from shared.observability.metrics import CONTENT_TYPE, render

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKLOG: Final = 1024
KEEP_ALIVE_S: Final = 15
JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"
STARTING: Final = msgspec.json.encode(
    {
        "type": "urn:quartermaster:problem:starting",
        "title": "Service Unavailable",
        "status": 503,
        "code": "starting",
        "detail": "The service is starting; try again in a second.",
    }
)


class _Server(uvicorn.Server):
    """The runtime handles signals for the whole process; uvicorn must not."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpServer:
    """Serves the three pages of `health`, and `app` on all other paths once it is given."""

    def __init__(self, host: str, port: int, health: Health) -> None:
        self._host = host
        self._port = port
        self._health = health
        self.app: App | None = None
        self.is_started = False
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; what was given, or what the system picked for 0."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        listener = socket.create_server(
            (self._host, self._port),
            family=socket.AF_INET6 if ":" in self._host else socket.AF_INET,
            backlog=BACKLOG,
        )
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._route,
            interface="asgi3",  # uvicorn takes a bound method for the old interface
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        """Finish what is being answered (streams are cut after a few seconds) and close."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path in _PAGES:
            status, kind, body = await _PAGES[path](self._health)
            await _send(send, status, kind, body)
        elif not self.is_started:
            await _send(send, 503, PROBLEM, STARTING, retry_after=True)
        elif self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, 404, JSON, b'{"status":"not_found"}')


async def _send(
    send: Send, status: int, kind: bytes, body: bytes, *, retry_after: bool = False
) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _healthz(_health: Health) -> tuple[int, bytes, bytes]:
    return 200, JSON, b'{"status":"alive"}'


async def _readyz(health: Health) -> tuple[int, bytes, bytes]:
    report = await health.report()
    return 200 if report.is_ready else 503, JSON, msgspec.json.encode(report)


async def _metrics(_health: Health) -> tuple[int, bytes, bytes]:
    return 200, CONTENT_TYPE.encode(), render()


_PAGES: Final = {"/healthz": _healthz, "/readyz": _readyz, "/metrics": _metrics}
