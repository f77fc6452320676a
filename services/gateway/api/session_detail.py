"""`/v1/sessions/{id}`: one session, with what lists do not tell."""

from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.asking import asked_moment
from services.gateway.api.routing import answer, call, gateway_of, operation
from services.gateway.documents.sessions import SessionDetail
from services.gateway.http.problems import Refused
from services.gateway.reads.pages import extend
from services.gateway.reads.sessions import SESSIONS
from shared.kernel.rejections import Rejection


@get(
    "/v1/sessions/{key:str}",
    opt=operation(SESSIONS.read_action, answer=SessionDetail),
)
async def session(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return a session, and in `idle_checks` what may end it by itself.

    That is null when the scheduler, who alone knows, does not answer.
    """
    asked, gateway = call(request), gateway_of(request)
    asked_moment(SESSIONS, asked.query, gateway.clock.now())
    found = await gateway.reads.document(SESSIONS, asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    checks = await gateway.idle_checks.of(msgspec.json.decode(found))
    return answer(extend(found, {"idle_checks": checks}).encode())


ROUTES: Final = [session]
