"""The outermost layer: every request passes here once, whatever answers it.

It gives the request an id, waits for room, reads the body within bounds, finds out who calls,
counts signed requests, and puts what it learned into the scope as a `Call`. Lists, which are asked
for most, are answered from here; everything else goes on to the application.
"""

import re
from typing import Final, Protocol

from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.directory import Directory
from services.gateway.auth.rate_limits import RateLimits
from services.gateway.http.answering import Answer
from services.gateway.http.bodies import receive_body, replay
from services.gateway.http.calls import SCOPE_KEY, Call
from services.gateway.http.gate import Caller, Entry, Gate
from services.gateway.http.outages import DATABASE_AWAY, OUTAGES
from services.gateway.http.problems import Refused
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger
from shared.observability.structured import structlog
from shared.runtime.http import App, Receive, Scope, Send
from shared.security.signatures import RequestParts, join_headers

log = get_logger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_BODILESS: Final = frozenset({"GET", "HEAD"})


class FastAnswers(Protocol):
    """Answers what is asked for most without the application's routing."""

    async def answer(self, call: Call) -> bytes | None:
        """Return a JSON body, or None to let the application answer; raises Refused."""
        ...


class Gates:
    """Room for reads, writes and log-ins apart, so that none can starve the others."""

    def __init__(self) -> None:
        self.reads = Gate(64, 512)
        self.writes = Gate(64, 512)
        self.logins = Gate(8, 128)

    def of(self, method: str, path: str) -> Gate:
        """Return the gate that a request passes."""
        if method in _BODILESS:
            return self.reads
        return self.logins if path.endswith("/login") else self.writes


class Edge:
    """The ASGI application that the gateway serves."""

    def __init__(
        self,
        app: App,
        *,
        authenticator: Authenticator,
        directory: Directory,
        limits: RateLimits,
        fast: FastAnswers,
        clock: Clock,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._directory = directory
        self._limits = limits
        self._fast = fast
        self._clock = clock
        self.gates = Gates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        call = _call(scope)
        structlog.contextvars.bind_contextvars(correlation_id=call.request_id)
        answer = Answer(call, send, self.gates.of(call.method, call.path))
        entry: Entry = "entered"
        if not answer.gate.try_enter():
            caller = Caller(receive)
            entry = await answer.gate.enter(caller)
            receive = caller.receive
        if entry == "gone":
            return
        if entry != "entered":
            text = "The gateway has more to do than it can take; try again."
            answer.has_left = True
            await answer.refuse(unavailable("overloaded", text))
            return
        try:
            await self._pass(call, scope, receive, answer)
        except Refused as refused:
            await answer.refuse(refused.rejection, refused.status)
        except OUTAGES as problem:
            log.warning("read_models_away", problem=repr(problem)[:200])
            await answer.refuse(DATABASE_AWAY)
        except Exception:
            log.exception("request_failed", method=call.method, path=call.path)
            await answer.fail()
        finally:
            answer.leave()

    async def _pass(self, call: Call, scope: Scope, receive: Receive, answer: Answer) -> None:
        inner = receive
        if call.method not in _BODILESS:
            body = await receive_body(call.headers.get("content-length", ""), receive)
            if body is None:
                return  # the caller has hung up in the middle
            call.body = body
            inner = replay(body, receive)
        await self._identify(call, scope["scheme"])
        if call.method == "GET":
            found = await self._fast.answer(call)
            if found is not None:
                await answer.json(found)
                return
        scope[SCOPE_KEY] = call
        await self._app(scope, inner, answer.send)

    async def _identify(self, call: Call, scheme: str) -> None:
        request = RequestParts(
            call.method,
            call.headers.get("host", ""),
            call.path,
            call.query,
            call.headers,
            call.body,
            scheme,
        )
        found = await self._authenticator.authenticate(request)
        if isinstance(found, Rejection):
            call.refusal = found
            if found.kind == "unavailable":
                raise Refused(found)
        elif found is not None:
            call.principal = found
            if found.access_key is not None:
                limit = self._directory.keypairs[found.access_key].rate_limit
                now = self._clock.monotonic()
                call.allowance = self._limits.take(found.access_key, limit, now)
                if call.allowance.rejection is not None:
                    raise Refused(call.allowance.rejection)
                self._limits.touch(found.access_key, self._clock.now())


def _call(scope: Scope) -> Call:
    headers = join_headers(scope["headers"])
    offered = headers.get("x-request-id", "")
    client = scope.get("client")
    raw_path = scope.get("raw_path") or scope["path"].encode()
    return Call(
        request_id=offered if _REQUEST_ID.fullmatch(offered) else new_id(),
        method=scope["method"],
        path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        client_address=client[0] if client else None,
    )
