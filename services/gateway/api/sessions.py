"""`/v1/sessions`: submitting, ending, the pending queue and logs."""

from typing import Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from services.gateway.actions.session_restart import RestartSessionBody, restart_session
from services.gateway.actions.sessions import (
    CreateSessionBody,
    create_sessions,
    permitted,
    simulate_sessions,
    terminate_session,
)
from services.gateway.api.routing import (
    Parameter,
    answer,
    answer_shown,
    call,
    gateway_of,
    operation,
    pending,
    plain,
    respond,
)
from services.gateway.documents.sessions import SessionDocument
from services.gateway.documents.simulation import SimulationDocument, simulation_document
from services.gateway.gateway import Gateway
from services.gateway.http.idempotency import Answered
from services.gateway.http.parameters import only_parameters, parse_flag
from services.gateway.http.problems import Refused
from services.gateway.reads.pages import Page
from services.gateway.reads.queue import PendingDocument, pending_page
from services.gateway.reads.sessions import SESSIONS
from services.gateway.session_logs import session_log
from services.gateway.writes import Written
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

_FORCED: Final = Parameter("forced", {"type": "boolean"}, "Kill at once, without a grace period.")
_FOLLOW: Final = Parameter("follow", {"type": "boolean"}, "Go on until the kernel has ended.")
_KERNEL: Final = Parameter(
    "kernel", {"type": "string"}, "A kernel's id or host name; the main one unless given."
)
_GROUP: Final = Parameter("resource_group", {"type": "string"}, "Whose queue.")
_PAGING: Final = (
    Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 20}, "Size."),
    Parameter("offset", {"type": "integer", "minimum": 0, "default": 0}, "How many to skip."),
)


@post(
    "/v1/sessions",
    opt=operation("sessions.create", body=CreateSessionBody, answer=SessionDocument, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Submit a session; `count` above 1 answers a list of equal sessions."""
    gateway, asked = plain(request)
    body = asked.json(CreateSessionBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await create_sessions(gateway, asked, body, once)
        session_ids: list[str] = written.result["session_ids"]
        if not written.is_visible:
            more = msgspec.json.encode({"session_ids": session_ids})
            return pending(gateway, asked, "session.create", written, more)
        return Answered(201, await _created(gateway, body, session_ids))

    return respond(await gateway.answers.once(asked, perform))


async def _created(gateway: Gateway, body: CreateSessionBody, session_ids: list[str]) -> bytes:
    documents = await gateway.reads.documents(SESSIONS, session_ids)
    if body.count == 1:
        return documents[0].encode()
    return Page(tuple(documents), len(documents)).encode()


@post(
    "/v1/sessions/simulate",
    opt=operation("sessions.simulate", body=CreateSessionBody, answer=SimulationDocument),
    status_code=200,
)
async def simulate(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell whether a session would start now, where, or what it would wait for; submit nothing."""
    gateway, asked = plain(request)
    found = await simulate_sessions(gateway, asked, asked.json(CreateSessionBody))
    return answer(msgspec.json.encode(simulation_document(found)))


@delete(
    "/v1/sessions/{key:str}",
    opt=operation("sessions.terminate", parameters=(_FORCED,), status=204),
    status_code=200,
)
async def terminate(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """End a session: a pending one is cancelled, a running one stopped with a grace period."""
    gateway, asked = gateway_of(request), call(request)
    parameters = only_parameters(asked.query, "forced")
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    forced = parse_flag(parameters, "forced")
    if isinstance(forced, Rejection):
        raise Refused(forced)

    async def perform(once: CommandKey | None) -> Answered:
        written = await terminate_session(gateway, asked, key, forced=forced, key=once)
        if not written.is_visible:
            return pending(gateway, asked, "session.terminate", written, b"{}")
        return Answered(204, b"")

    return respond(await gateway.answers.once(asked, perform))


@post(
    "/v1/sessions/{key:str}/restart",
    opt=operation(
        "sessions.restart", body=RestartSessionBody, needs_body=False, answer=SessionDocument
    ),
    status_code=200,
)
async def restart(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Restart a running session where it is: its kernels end, and new ones run the command anew.

    Meanwhile it is RESTARTING and keeps its agents and devices. 409: `not_running`,
    `partly_ended` (a kernel's place is given up already), `agent_away` (try again later).
    """
    gateway, asked = plain(request)
    body = asked.json(RestartSessionBody) if asked.body else RestartSessionBody()

    async def write(once: CommandKey | None) -> Written:
        return await restart_session(gateway, asked, key, body, once)

    return await answer_shown(gateway, asked, "session.restart", write, SESSIONS, key)


@get(
    "/v1/sessions/{key:str}/logs",
    opt=operation("sessions.logs", answer="text/plain", parameters=(_FOLLOW, _KERNEL)),
)
async def logs(request: Request[Any, Any, Any], key: str) -> Stream:
    """Return what a session has written; with `follow=true` also what it goes on to write.

    It is the log of the kernel that runs now: a restart begins a new one, which is followed too.
    """
    gateway, asked = gateway_of(request), call(request)
    parameters = only_parameters(asked.query, "follow", "kernel")
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    follow = parse_flag(parameters, "follow")
    if isinstance(follow, Rejection):
        raise Refused(follow)
    await permitted(gateway, asked.caller(), key, "sessions.logs")
    pieces = await session_log(gateway, asked, key, parameters.get("kernel"), follow=follow)
    return Stream(pieces, media_type="text/plain")


@get(
    "/v1/sessions/pending",
    opt=operation("queue.list", answer=PendingDocument, parameters=(_GROUP, *_PAGING)),
)
async def list_pending(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List a resource group's waiting sessions in the order in which they will be placed."""
    asked = call(request)
    found = await pending_page(gateway_of(request), asked.caller(), asked.query)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


ROUTES: Final = [create, simulate, restart, terminate, logs, list_pending]
