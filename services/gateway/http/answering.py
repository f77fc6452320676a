"""The way back of a request: our headers on every answer, the place in the gate freed, counts."""

from collections.abc import Iterable
from time import perf_counter
from typing import Final

from prometheus_client import Counter, Histogram

from services.gateway.auth.rate_limits import WINDOW_S
from services.gateway.http.calls import Call
from services.gateway.http.gate import Gate
from services.gateway.http.problems import PROBLEM_TYPE, problem_body, problem_headers
from shared.kernel.rejections import HTTP_STATUS, Rejection, unavailable
from shared.observability.logging import get_logger
from shared.observability.metrics import counter, histogram
from shared.runtime.http import Message, Send

log = get_logger(__name__)
_SLOW_S: Final = 1.0
_requests = counter("http_requests_total", "Requests by method and status.", ("method", "status"))
_seconds = histogram("http_request_seconds", "Time to the first byte of the answer.", ("method",))
_counters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class Answer:
    """The way back: adds our headers, frees the place in the gate, counts."""

    def __init__(self, call: Call, send: Send, gate: Gate) -> None:
        self.gate = gate
        self.has_left = False
        self._call = call
        self._send = send
        self._started_at = perf_counter()
        self._has_started = False

    async def send(self, message: Message) -> None:
        """Pass on what the application sends."""
        if message["type"] == "http.response.start":
            self._has_started = True
            message["headers"] = [*message.get("headers", ()), *self._headers()]
            self._count(message["status"])
            self.leave()
        await self._send(message)

    def leave(self) -> None:
        """Free the place; a stream that goes on after its start holds none."""
        if not self.has_left:
            self.has_left = True
            self.gate.leave()

    async def json(self, body: bytes) -> None:
        """Answer 200 with a JSON body."""
        await self._whole(200, "application/json", body, ())

    async def refuse(self, rejection: Rejection, status: int | None = None) -> None:
        """Answer with a problem."""
        code = int(HTTP_STATUS[rejection.kind]) if status is None else status
        body = problem_body(rejection, code, self._call.request_id)
        headers = [
            (name.encode(), value.encode()) for name, value in problem_headers(rejection, code)
        ]
        await self._whole(code, PROBLEM_TYPE, body, headers)

    async def fail(self) -> None:
        """Answer a bug of ours, unless an answer is already under way."""
        if not self._has_started:
            text = f"Something is wrong on our side; it is logged as {self._call.request_id}."
            await self.refuse(unavailable("internal_error", text), 500)

    async def _whole(
        self, status: int, kind: str, body: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        lines = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": body})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        lines = [(b"x-request-id", self._call.request_id.encode()), *_ALWAYS]
        allowance = self._call.allowance
        if allowance is not None:
            limit, remaining = allowance.limit, allowance.remaining
            if limit is not None:
                lines.append((b"x-ratelimit-limit", str(limit).encode()))
                lines.append((b"x-ratelimit-remaining", str(remaining).encode()))
            lines.append((b"x-ratelimit-window", str(WINDOW_S).encode()))
        return lines

    def _count(self, status: int) -> None:
        call = self._call
        took_s = perf_counter() - self._started_at
        method = call.method if call.method in _METHODS else "OTHER"
        counted = _counters.get((method, status))
        if counted is None:  # looking a label up costs more than counting
            counted = _requests.labels(method, status), _seconds.labels(method)
            _counters[method, status] = counted
        counted[0].inc()
        counted[1].observe(took_s)
        # what was done is in the event log with its actor; the line is for what went wrong or slow
        if status >= 400 or took_s > _SLOW_S:
            user_id = call.principal.user_id if call.principal is not None else None
            log.info(
                "request",
                method=method,
                path=call.path[:200],
                status=status,
                took_ms=round(took_s * 1000, 1),
                user_id=user_id,
                address=call.client_address,
            )
