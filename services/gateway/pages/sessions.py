"""The sessions page: the list, one session's detail, its rows for the live stream."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from litestar import Request, Response, get

from services.gateway.auth.permissions import Verdict, judge, may, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.languages import N_
from services.gateway.pages.lists import ROWS, ListRule, TabRule, listed
from services.gateway.pages.owners import emails, list_page
from services.gateway.pages.visits import Visit
from services.gateway.reads.session_stats import ACTION, MEASURED, session_stats, stats_of
from services.gateway.reads.sessions import SESSIONS
from shared.contracts.scheduler import TERMINAL_STATUSES
from shared.kernel.rejections import Rejection

PATH: Final = "/console/sessions"
LIST: Final = ListRule(
    SESSIONS,
    PATH,
    (
        TabRule("", N_("All"), ()),
        TabRule("pending", N_("Pending"), ("PENDING",)),
        TabRule(
            "running",
            N_("Running"),
            ("SCHEDULED", "PREPARING", "RUNNING", "RESTARTING", "TERMINATING"),
        ),
        TabRule("finished", N_("Finished"), ("TERMINATED", "CANCELLED", "ERROR")),
    ),
    default_sort="-created_at",
    searches=("name",),
)


@get("/sessions")
async def sessions_page(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the list; a script is given the table alone."""
    visit = Visit(request, console)
    found = await listed(visit, LIST)
    context = {
        "sessions": await presented(visit, found.documents),
        "list": found.listing,
        "tabs": found.tabs,
        "is_update": visit.is_fragment,
        "shows_owner": shows_owner(visit.caller()),
    }
    if visit.is_fragment:
        return visit.html("sessions/_table.html", context)
    return await visit.page("sessions", "sessions/page.html", context)


@get("/sessions/{session_id:str}")
async def session_page(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Show one session, in a drawer or on a page of its own."""
    visit = Visit(request, console)
    session = await one(visit, session_id)
    log = ""
    may_read_log = judged(visit.caller(), "sessions.logs", session)
    if may_read_log and not visit.is_fragment:
        log = await visit.gateway.logs.tail(session)
    context = {
        "session": session,
        "usage": used(visit, session),
        "checks": await checked(visit, session),
        "may_read_log": may_read_log,
        "log": log,
        "is_update": False,
    }
    if visit.is_fragment:
        return visit.html("sessions/_detail.html", context)
    return await visit.page("sessions", "sessions/detail.html", context)


@get("/sessions/{session_id:str}/state")
async def session_state(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Show a session's changing part, for scripts that read it again."""
    visit = Visit(request, console)
    session = await one(visit, session_id)
    context = {
        "session": session,
        "usage": used(visit, session),
        "checks": await checked(visit, session),
        "is_update": True,
    }
    return visit.html("sessions/_state.html", context)


@get("/sessions/{session_id:str}/checks")
async def session_checks(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Show what may end a session by itself; asked for again while it is looked at."""
    visit = Visit(request, console)
    session = await one(visit, session_id)
    context = {"session": session, "checks": await checked(visit, session)}
    return visit.html("sessions/_checks.html", context)


async def checked(visit: Visit, session: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return what may end a session by itself; None when nobody can tell."""
    found = await visit.gateway.idle_checks.of(session)
    return None if found is None else [msgspec.to_builtins(check) for check in found]


@get("/sessions/{session_id:str}/usage")
async def session_usage(
    request: Request[Any, Any, Any], console: Console, session_id: str
) -> Response[str]:
    """Show what a session uses now; asked for again every few seconds while it is looked at."""
    visit = Visit(request, console)
    found = await stats_of(visit.gateway, visit.caller(), session_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    stats = msgspec.to_builtins(found)
    return visit.html("sessions/_usage.html", {"session": {"id": session_id}, "stats": stats})


def used(visit: Visit, session: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a session uses, or why that is not known; None when it does not run."""
    usages, session_id = visit.gateway.usages, session["id"]
    if session["status"] not in MEASURED or not judged(visit.caller(), ACTION, session):
        return None
    found = session_stats(session, usages.latest(session_id), usages.history(session_id))
    stats: dict[str, Any] = msgspec.to_builtins(found)
    return stats


async def one(visit: Visit, session_id: str) -> dict[str, Any]:
    """Return one session ready to be shown; raises Refused (404)."""
    found = await visit.gateway.reads.decoded(SESSIONS, visit.caller(), session_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    return (await presented(visit, [found]))[0]


async def presented(visit: Visit, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to documents what their templates need: the owner, and what the reader may do."""
    principal = visit.caller()
    owners: dict[str, str] = {}
    if shows_owner(principal):
        reads = visit.gateway.reads
        owners = await emails(reads, principal, (item["user_id"] for item in found))
    for session in found:
        session["owner"] = owners.get(session["user_id"], "")
        session["may_terminate"] = session["status"] not in TERMINAL_STATUSES and judged(
            principal, "sessions.terminate", session
        )
        session["may_restart"] = session["status"] == "RUNNING" and judged(
            principal, "sessions.restart", session
        )
    return found


async def rows(visit: Visit, session_ids: Iterable[str]) -> list[str]:
    """Return the rendered rows of those sessions that the reader may see."""
    query = {"id": list(session_ids), "limit": [str(ROWS)]}
    found, _ = await list_page(visit.gateway.reads, SESSIONS, visit.caller(), query)
    owned = shows_owner(visit.caller())
    return [
        visit.render("sessions/_row.html", {"session": session, "shows_owner": owned})
        for session in await presented(visit, found)
    ]


def shows_owner(principal: Principal) -> bool:
    """Tell whether the list holds sessions of others."""
    return scope_of(principal, "sessions.list") != "own" and may(principal, "users.list")


def judged(principal: Principal, action: str, session: dict[str, Any]) -> bool:
    """Tell whether the reader may do something to a session."""
    verdict = judge(
        principal,
        action,
        read_action=SESSIONS.read_action,
        owner=session["user_id"],
        domain=session["domain"],
    )
    return verdict is Verdict.ALLOWED
