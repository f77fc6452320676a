"""What the application raises, as problems; a bug of ours is logged and told plainly."""

from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from services.gateway.http.calls import call_of
from services.gateway.http.outages import DATABASE_AWAY
from services.gateway.http.problems import (
    PROBLEM_TYPE,
    Refused,
    of_status,
    problem_body,
    problem_headers,
)
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

log = get_logger(__name__)
_TEXTS: Final = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    400: "The request cannot be understood.",
}


def answer_refused(request: Request[Any, Any, Any], refused: Refused) -> Response[bytes]:
    """Answer a refusal."""
    return _problem(request, refused.rejection, refused.status)


def answer_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what routing found: no such address, no such method."""
    status = error.status_code
    answered = _problem(request, of_status(status, _TEXTS.get(status, error.detail)), status)
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":
            answered.headers["allow"] = value
    return answered


def answer_outage(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer that our own database does not answer right now."""
    log.warning("read_models_away", problem=repr(error)[:200])
    return _problem(request, DATABASE_AWAY, 503)


def answer_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a bug of ours: it is in the log under the request's id, not in the answer."""
    call = call_of(request.scope)
    log.error("request_failed", method=call.method, path=call.path[:200], exc_info=error)
    text = f"Something is wrong on our side; it is logged as {call.request_id}."
    return _problem(request, unavailable("internal_error", text), 500)


def _problem(request: Request[Any, Any, Any], rejection: Rejection, status: int) -> Response[bytes]:
    body = problem_body(rejection, status, call_of(request.scope).request_id)
    headers = dict(problem_headers(rejection, status))
    return Response(body, status_code=status, media_type=PROBLEM_TYPE, headers=headers)
