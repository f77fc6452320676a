"""Ending and restarting sessions from the console: ask first, then do it."""

from collections.abc import Awaitable
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get, post

from services.gateway.actions.session_restart import RestartSessionBody, restart_session
from services.gateway.actions.sessions import permitted, terminate_session
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.failures import toast
from services.gateway.pages.forms import Form
from services.gateway.pages.languages import N_
from services.gateway.pages.sessions import PATH, one
from services.gateway.pages.visits import Visit


class Change(NamedTuple):
    """What is asked about and then done; `name` is that of its templates and its action."""

    name: str
    said: str
    done: str


TERMINATE: Final = Change("terminate", N_("The session was told to end."), "terminating")
RESTART: Final = Change("restart", N_("The session was told to restart."), "restarting")


@get("/sessions/{session_id:str}/terminate")
async def terminate_form(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Ask whether the session shall really end."""
    return await _ask(Visit(request, console), TERMINATE, session_id)


@post("/sessions/{session_id:str}/terminate", status_code=200)
async def terminate(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[Any]:
    """End the session."""
    visit = Visit(request, console)
    forced = visit.form().get("forced") == "true"
    ending = terminate_session(visit.gateway, visit.call, session_id, forced=forced)
    return await _do(visit, TERMINATE, session_id, ending)


@get("/sessions/{session_id:str}/restart")
async def restart_form(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Ask whether the session shall really start anew."""
    return await _ask(Visit(request, console), RESTART, session_id)


@post("/sessions/{session_id:str}/restart", status_code=200)
async def restart(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[Any]:
    """Restart the session."""
    visit = Visit(request, console)
    restarting = restart_session(visit.gateway, visit.call, session_id, RestartSessionBody())
    return await _do(visit, RESTART, session_id, restarting)


async def _ask(visit: Visit, change: Change, session_id: str) -> Response[str]:
    await permitted(visit.gateway, visit.caller(), session_id, f"sessions.{change.name}")
    return await _confirmation(visit, change, await one(visit, session_id), Form())


async def _do(
    visit: Visit, change: Change, session_id: str, work: Awaitable[object]
) -> Response[Any]:
    """Do it and say so; a refusal shows the question again with what was wrong."""
    try:
        await work
    except Refused as refused:
        session = await one(visit, session_id)
        form = Form().refused(
            refused.rejection, fields={}, say=visit.say, request_id=visit.call.request_id
        )
        return await _confirmation(visit, change, session, form, status=refused.status)
    if visit.is_fragment:
        headers = toast(visit.text(change.said), "close-dialog", "sessions-changed")
        return Response(None, status_code=204, headers=headers)
    return visit.go(f"{PATH}/{session_id}?done={change.done}")


async def _confirmation(
    visit: Visit, change: Change, session: dict[str, Any], form: Form, status: int = 200
) -> Response[str]:
    context = {"session": session, "form": form}
    if visit.is_fragment:
        return visit.html(f"sessions/_{change.name}.html", context, status=status)
    return await visit.page("sessions", f"sessions/{change.name}.html", context, status=status)
