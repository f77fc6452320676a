"""`/v1/tasks`: what goes on after its request was answered."""

from typing import Any, Final

import msgspec
from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import answer, bare, operation, plain
from services.gateway.http.problems import Refused
from services.gateway.tasks import TaskDocument
from shared.kernel.rejections import Rejection


@get("/v1/tasks/{key:str}", opt=operation("tasks.read", answer=TaskDocument))
async def read(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Tell how far a request is that was answered 202; what is secret in a result comes once."""
    gateway, asked = plain(request)
    found = await gateway.tasks.read(asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


@post(
    "/v1/tasks/{key:str}/cancel",
    opt=operation("tasks.cancel", answer=TaskDocument),
    status_code=200,
)
async def cancel(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Ask a task to stop; what it has done by then stays done."""
    gateway, asked = bare(request)
    # asked twice it is the same wish, so no first answer is kept
    found = await gateway.tasks.cancel(asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


ROUTES: Final = [read, cancel]
