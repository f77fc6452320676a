"""Refusals as pages: log in first, or a plain sentence and a way back."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from services.gateway.http.failures import answer_bug, answer_outage
from services.gateway.http.outages import OUTAGES
from services.gateway.http.problems import Refused, of_status, problem_headers
from services.gateway.pages.console import Console
from services.gateway.pages.guards import protect
from services.gateway.pages.languages import N_
from services.gateway.pages.visits import START, Visit, own_address
from shared.kernel.rejections import Rejection, unavailable

SOMETHING: Final = N_("Something went wrong")
TITLES: Final = {
    400: N_("That cannot be understood"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    413: N_("Too large"),
    503: N_("Not available now"),
}

AWAY: Final = unavailable("database_away", "The read models do not answer now; try again.", 2)
BUG: Final = unavailable("internal_error", "Something is wrong on our side. It is logged.")


Handlers = dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]


def handlers(console: Console) -> Handlers:
    """Return what answers each kind of failure of a page.

    They are functions and no methods: routers copy their handlers, whatever these hold.
    """

    def refused(request: Request[Any, Any, Any], error: Refused) -> Response[Any]:
        return _answer(Visit(request, console), error.rejection, error.status)

    def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        rejection = of_status(error.status_code, error.detail)
        return _answer(Visit(request, console), rejection, error.status_code)

    def outage(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        answer_outage(request, error)  # logs it
        return _answer(Visit(request, console), AWAY, 503)

    def bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        answer_bug(request, error)  # logs it
        return _answer(Visit(request, console), BUG, 500)

    return {
        Refused: refused,
        HTTPException: http_error,
        **dict.fromkeys(OUTAGES, outage),
        Exception: bug,
    }


def _answer(visit: Visit, rejection: Rejection, status: int) -> Response[Any]:
    if status == HTTPStatus.UNAUTHORIZED:
        return _to_login(visit)
    headers = dict(problem_headers(rejection, status))
    if visit.is_fragment:
        # Nothing is swapped: a toast says what happened, the page stays as it is.
        headers |= toast(visit.say(rejection.code, rejection.message)) | {"HX-Reswap": "none"}
        return Response(None, status_code=status, headers=headers, media_type=MediaType.HTML)
    context = {
        "title": visit.text(TITLES.get(status, SOMETHING)),
        "explanation": visit.say(rejection.code, rejection.message),
        "request_id": visit.call.request_id,
        "way_out": START,
    }
    page = visit.render("errors/page.html", context)
    return protect(Response(page, status_code=status, headers=headers, media_type=MediaType.HTML))


def toast(message: str, *events: str) -> dict[str, str]:
    """Return the header that makes a page say something, and tells it what else has happened."""
    # json and not msgspec: a header must be ASCII, whatever language the message is in.
    return {"HX-Trigger": json.dumps({"toast": message} | dict.fromkeys(events, ""))}


def _to_login(visit: Visit) -> Response[None]:
    call = visit.call
    asked = f"{call.path}?{call.query}" if call.query else call.path
    back = own_address(asked) if call.method == "GET" and not visit.is_fragment else START
    return visit.go(f"/console/login?back={quote(back, safe='')}")
