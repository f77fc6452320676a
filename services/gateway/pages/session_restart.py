"""Restarting a session from the console: ask first, then do it."""

from typing import Any

from litestar import Request, Response, get, post

from services.gateway.actions.session_restart import RestartSessionBody, restart_session
from services.gateway.actions.sessions import permitted
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.failures import toast
from services.gateway.pages.forms import Form
from services.gateway.pages.sessions import PATH, one
from services.gateway.pages.visits import Visit


@get("/sessions/{session_id:str}/restart")
async def restart_form(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Ask whether the session shall really start anew."""
    visit = Visit(request, console)
    await permitted(visit.gateway, visit.caller(), session_id, "sessions.restart")
    return await _confirmation(visit, await one(visit, session_id), Form())


@post("/sessions/{session_id:str}/restart", status_code=200)
async def restart(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[Any]:
    """Restart the session."""
    visit = Visit(request, console)
    try:
        await restart_session(visit.gateway, visit.call, session_id, RestartSessionBody())
    except Refused as refused:
        session = await one(visit, session_id)
        form = Form().refused(
            refused.rejection, fields={}, say=visit.say, request_id=visit.call.request_id
        )
        return await _confirmation(visit, session, form, status=refused.status)
    if visit.is_fragment:
        message = visit.text("The session was told to restart.")
        return Response(
            None, status_code=204, headers=toast(message, "close-dialog", "sessions-changed")
        )
    return visit.go(f"{PATH}/{session_id}?done=restarting")


async def _confirmation(
    visit: Visit, session: dict[str, Any], form: Form, status: int = 200
) -> Response[str]:
    context = {"session": session, "form": form}
    if visit.is_fragment:
        return visit.html("sessions/_restart.html", context, status=status)
    return await visit.page("sessions", "sessions/restart.html", context, status=status)
